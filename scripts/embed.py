#!/usr/bin/env python3
"""Makes a C file of files: scripts/embed.py OUT FILE...

Each is stored as gzip under "<its folder>/<its name>"; serve/assets.h says what is made.
"""
import gzip
import hashlib
import os
import sys

TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.json': 'application/json',
    '.md': 'text/markdown; charset=utf-8',
    '.svg': 'image/svg+xml',
}


def main(out, paths):
    table, arrays = [], []
    for at, path in enumerate(sorted(paths, key=lambda p: (os.path.dirname(p), os.path.basename(p)))):
        with open(path, 'rb') as file:
            plain = file.read()
        packed = gzip.compress(plain, 9, mtime=0)
        name = f'{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)}'
        tag = hashlib.sha256(plain).hexdigest()[:16]
        kind = TYPES[os.path.splitext(path)[1]]
        bytes_ = ','.join(map(str, packed))
        arrays.append(f'static const unsigned char f{at}[] = {{{bytes_}}};\n')
        table.append(f'    {{"{name}", "{kind}", "\\"{tag}\\"", f{at}, {len(packed)}, {len(plain)}}},\n')
    with open(out, 'w') as file:
        file.write('#include "serve/assets.h"\n\n' + ''.join(arrays))
        file.write('\nconst struct asset assets[] = {\n' + ''.join(table) + '};\n')
        file.write(f'const size_t asset_count = {len(paths)};\n')


main(sys.argv[1], sys.argv[2:])
