// Free ports on loopback.
import { createServer } from 'node:net';

// Below the range from which the kernel picks local ports of outgoing connections (32768 and up): there,
// a client that keeps reconnecting to its dead server's port can end up connected to itself, and the
// server cannot come back.
const FIRST = 12_000;
const COUNT = 20_000;
const given = new Set();

export async function freePort() {
  for (let tries = 0; tries < 200; tries++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port found from ${FIRST} to ${FIRST + COUNT - 1}`);
}

export async function freePorts(count) {
  const ports = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

export function canListen(port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
