// Where drawing fails, this stands instead: one panel or page that throws takes no other with it.
import { Component, type ComponentChildren } from 'preact';

interface Props {
  /** Something else to draw: tried again. */
  of: unknown;
  /** Told once for each failure. */
  onProblem?: (problem: string) => void;
  show: (problem: string) => ComponentChildren;
  children: ComponentChildren;
}

export class Guard extends Component<Props, { problem?: string }> {
  override state: { problem?: string } = {};

  override componentDidCatch(error: unknown) {
    const problem = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    console.warn('not drawn:', error);
    this.setState({ problem });
    this.props.onProblem?.(problem);
  }

  override componentDidUpdate(before: Props) {
    if (this.state.problem !== undefined && before.of !== this.props.of) this.setState({ problem: undefined });
  }

  override render() {
    return this.state.problem === undefined ? this.props.children : this.props.show(this.state.problem);
  }
}
