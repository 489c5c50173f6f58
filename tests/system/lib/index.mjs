// Everything a system test needs: import { ... } from './lib/index.mjs'.
export * from './alertmanager.mjs';
export * from './cluster.mjs';
export * from './exposition.mjs';
export * from './gpus.mjs';
export * from './monitor.mjs';
export * from './nats.mjs';
export * from './observer.mjs';
export * from './paths.mjs';
export * from './ports.mjs';
export * from './process.mjs';
export * from './prometheus.mjs';
export * from './scope.mjs';
export * from './wait.mjs';
export * from './web.mjs';
