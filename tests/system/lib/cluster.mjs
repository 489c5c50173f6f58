// A cluster of real nats-servers on loopback, whose servers can be killed, paused, restarted, and cut off.
//
// Every server's route port stands behind a small proxy of ours, which is also what the servers tell each
// other (cluster.advertise). So each route runs through a proxy, which learns from its first words which
// server has called, and can break the links between any two.
import net from 'node:net';

import { startNats } from './nats.mjs';
import { freePort } from './ports.mjs';
import { scopeOf } from './scope.mjs';
import { until } from './wait.mjs';

const WORDS_MAX = 65536; // of the caller, before it says who it is

class RouteProxy {
  #cluster;
  #server;
  #links = new Set();

  constructor(cluster, index) {
    this.#cluster = cluster;
    this.index = index;
  }

  async listen(t, targetPort) {
    this.#server = net.createServer((inbound) => this.#link(inbound, targetPort));
    await new Promise((done) => this.#server.listen(0, '127.0.0.1', done));
    this.port = this.#server.address().port;
    scopeOf(t).after(() => this.close());
  }

  close() {
    for (const link of this.#links) link.end();
    this.#server.close();
  }

  /** Ends the links that the cluster's partition forbids. */
  enforce() {
    for (const link of this.#links) {
      if (link.from !== undefined && !this.#cluster.mayTalk(link.from, this.index)) link.end();
    }
  }

  #link(inbound, port) {
    const outbound = net.connect(port, '127.0.0.1');
    const link = { from: undefined, end: () => { inbound.destroy(); outbound.destroy(); this.#links.delete(link); } };
    let words = '';
    this.#links.add(link);
    for (const socket of [inbound, outbound]) {
      socket.setNoDelay(true);
      socket.on('error', link.end);
      socket.on('close', link.end);
    }
    inbound.on('data', (bytes) => {
      if (link.from === undefined) {
        words = (words + bytes.toString('latin1')).slice(0, WORDS_MAX);
        link.from = this.#cluster.whoSays(words);
        if (link.from !== undefined && !this.#cluster.mayTalk(link.from, this.index)) return link.end();
      }
      if (!outbound.write(bytes)) inbound.pause();
    });
    outbound.on('drain', () => inbound.resume());
    outbound.on('data', (bytes) => { if (!inbound.write(bytes)) outbound.pause(); });
    inbound.on('drain', () => outbound.resume());
  }
}

class Cluster {
  servers = [];
  #proxies = [];
  #sides; // index -> side; undefined: all may talk

  constructor(name) {
    this.name = name;
  }

  get urls() {
    return this.servers.map((server) => server.url).join(',');
  }

  /** The system account's address. */
  get systemUrl() {
    return this.servers.map((server) => server.url.replace('nats://', 'nats://sys:sys@')).join(',');
  }

  get httpUrls() {
    return this.servers.map((server) => server.httpUrl).join(',');
  }

  async start(t, size, { version, config, serverConfig }) {
    const routes = [];
    for (let i = 0; i < size; i++) {
      const proxy = new RouteProxy(this, i);
      proxy.target = await freePort();
      await proxy.listen(t, proxy.target);
      this.#proxies.push(proxy);
      routes.push(`nats://127.0.0.1:${proxy.port}`);
    }
    this.servers = await Promise.all(this.#proxies.map((proxy, i) => startNats(t, {
      version,
      config: `server_name: "${this.name}-${i + 1}"\n` +
        `cluster { name: "${this.name}", listen: "127.0.0.1:${proxy.target}", no_advertise: true,\n` +
        `  advertise: "127.0.0.1:${proxy.port}", routes: [${routes.filter((_, n) => n !== i).join(', ')}] }\n` +
        'accounts {\n  SYS { users: [{user: sys, password: sys}] }\n' +
        '  APP { jetstream: enabled, users: [{user: app, password: app}] }\n}\n' +
        `system_account: SYS\nno_auth_user: app\n${config}\n${serverConfig(i)}\n`,
    })));
    await this.metaLeader();
  }

  /** Which server's words these are; undefined: not known yet. */
  whoSays(words) {
    const at = words.match(/"(?:server_name|name)":"([^"]+)-(\d+)"/) ;
    return at && at[1] === this.name ? Number(at[2]) - 1 : undefined;
  }

  mayTalk(a, b) {
    return !this.#sides || this.#sides.get(a) === this.#sides.get(b);
  }

  /** Cuts the routes between these servers and the others, until heal(). Takes indexes. */
  partition(...alone) {
    this.#sides = new Map(this.servers.map((_, i) => [i, alone.includes(i)]));
    for (const proxy of this.#proxies) proxy.enforce();
  }

  heal() {
    this.#sides = undefined;
  }

  /** The index of the server that leads the meta group, once they agree on one. */
  async metaLeader({ deadline = 60_000, among = this.servers.map((_, i) => i) } = {}) {
    return until(async () => {
      const names = await Promise.all(among.map(async (i) =>
        (await this.servers[i].monitorz('jsz')).meta_cluster?.leader));
      const leader = names.every((name) => name && name === names[0]) && names[0];
      return leader ? { index: Number(leader.split('-').at(-1)) - 1 } : undefined;
    }, { deadline, what: 'the servers agree on a meta leader' }).then(({ index }) => index);
  }
}

/**
 * Servers C1-1, C1-2, ...: `size` of them, JetStream on, a system account (sys/sys) and an account for
 * everybody else. cluster.servers[i] is what startNats() returns.
 *
 * @param {object} [options] version, config (more lines for every server), serverConfig(i)
 */
export async function startCluster(t, { size = 3, name = 'C1', version, config = '', serverConfig = () => '' } = {}) {
  const cluster = new Cluster(name);
  await cluster.start(t, size, { version, config, serverConfig });
  return cluster;
}

/** Makes a stream in a cluster that has just formed: what its servers drop while they elect is asked again. */
export function addStream(jsm, config) {
  return until(() => jsm.streams.add(config),
    { deadline: 60_000, what: `the cluster makes the stream ${config.name}` });
}
