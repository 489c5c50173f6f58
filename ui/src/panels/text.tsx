// Text panels: Markdown or HTML, cleaned of all that could run.
import DOMPurify from 'dompurify';
import { marked } from 'marked';
import { useMemo } from 'preact/hooks';

import { safeUrl } from '../model/dashboard';
import type { PanelProps } from './panel';

const TEXT_MAX = 200_000;

let isReady = false;

function purifier(): typeof DOMPurify {
  if (!isReady) {
    isReady = true;
    DOMPurify.addHook('afterSanitizeAttributes', (node) => {
      const href = node.getAttribute('href');
      if (href !== null && safeUrl(href) === undefined) node.removeAttribute('href');
      if (node.getAttribute('target')) node.setAttribute('rel', 'noopener noreferrer');
    });
  }
  return DOMPurify;
}

export function cleanHtml(html: string): string {
  return purifier().sanitize(html, {
    FORBID_TAGS: ['style', 'form', 'input', 'button', 'iframe', 'svg', 'math'],
    FORBID_ATTR: ['style', 'id', 'name'],
    ADD_ATTR: ['target'],
  });
}

export function Text({ panel, fill }: PanelProps) {
  const { mode = 'markdown', content = '' } = panel.options as { mode?: string; content?: unknown };
  const html = useMemo(() => {
    const text = fill(String(content).slice(0, TEXT_MAX));
    return mode === 'code' ? undefined : cleanHtml(mode === 'html' ? text : marked.parse(text, { async: false }));
  }, [content, mode, fill]);
  if (html === undefined) return <pre class="text">{fill(String(content).slice(0, TEXT_MAX))}</pre>;
  return <div class="text markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
