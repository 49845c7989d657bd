/** The edge's numbers in Prometheus form. They are read from plain counts only when asked for. */
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { durationBoundsS, type RouteCounts } from './route-counts.ts';

/** What the metrics are read from. */
export interface MetricsSource {
  /** By site and path pattern; the unrouted requests under empty names. */
  routes(): Iterable<{ site: string; path: string; counts: RouteCounts }>;
  origins(): Iterable<{
    site: string;
    path: string;
    origin: string;
    healthy: boolean;
    ejected: boolean;
    inFlight: number;
    requests: number;
    failures: number;
    ejections: number;
  }>;
  refused(): Iterable<readonly [code: string, count: number]>;
  connections(): number;
  requestsInFlight(): number;
}

const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

export function makeRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  const registers = [registry];
  const perRoute = ['site', 'path'] as const;
  const perOrigin = ['site', 'path', 'origin'] as const;

  const routeCounter = (name: string, help: string, value: (counts: RouteCounts) => number) =>
    new Counter({
      name,
      help,
      labelNames: perRoute,
      registers,
      collect() {
        this.reset();
        for (const { site, path, counts } of source.routes())
          this.inc({ site, path }, value(counts));
      },
    });

  new Counter({
    name: 'holdfast_requests_total',
    help: 'Requests that ended, by route and class of the status sent ("none": no answer was sent).',
    labelNames: [...perRoute, 'status'],
    registers,
    collect() {
      this.reset();
      for (const { site, path, counts } of source.routes()) {
        for (const [index, status] of classes.entries()) {
          const value = counts.byClass[index] as number;
          if (value > 0) this.inc({ site, path, status }, value);
        }
      }
    },
  });
  routeCounter('holdfast_request_bytes_total', 'Bytes of request bodies.', (c) => c.requestBytes);
  routeCounter('holdfast_response_bytes_total', 'Bytes of answers.', (c) => c.responseBytes);
  routeCounter('holdfast_retries_total', 'Further attempts at another origin.', (c) => c.retries);
  routeCounter('holdfast_tunnels_total', 'WebSockets opened.', (c) => c.tunnels);
  registry.registerMetric(durationMetric(source));

  new Counter({
    name: 'holdfast_refused_total',
    help: 'Requests and connections that the edge refused or failed, by error code.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of source.refused()) this.inc({ code }, count);
    },
  });
  new Gauge({
    name: 'holdfast_connections',
    help: 'Open client connections.',
    registers,
    collect() {
      this.set(source.connections());
    },
  });
  new Gauge({
    name: 'holdfast_requests_in_flight',
    help: 'Requests being answered.',
    registers,
    collect() {
      this.set(source.requestsInFlight());
    },
  });
  new Gauge({
    name: 'holdfast_tunnels_open',
    help: 'Open WebSockets.',
    labelNames: perRoute,
    registers,
    collect() {
      this.reset();
      for (const { site, path, counts } of source.routes())
        this.set({ site, path }, counts.tunnelsOpen);
    },
  });

  type OriginFacts = ReturnType<MetricsSource['origins']> extends Iterable<infer T> ? T : never;
  const originGauge = (
    name: string,
    help: string,
    value: (origin: OriginFacts) => number,
    aggregator: 'sum' | 'min' = 'sum',
  ) =>
    new Gauge({
      name,
      help,
      labelNames: perOrigin,
      registers,
      aggregator,
      collect() {
        this.reset();
        for (const facts of source.origins()) {
          this.set({ site: facts.site, path: facts.path, origin: facts.origin }, value(facts));
        }
      },
    });
  const originCounter = (name: string, help: string, value: (origin: OriginFacts) => number) =>
    new Counter({
      name,
      help,
      labelNames: perOrigin,
      registers,
      collect() {
        this.reset();
        for (const facts of source.origins()) {
          this.inc({ site: facts.site, path: facts.path, origin: facts.origin }, value(facts));
        }
      },
    });
  originGauge(
    'holdfast_origin_usable',
    '1 while the origin is healthy and not ejected (the least of all workers).',
    (o) => (o.healthy && !o.ejected ? 1 : 0),
    'min',
  );
  originGauge(
    'holdfast_origin_in_flight',
    'Requests and tunnels at the origin.',
    (o) => o.inFlight,
  );
  originCounter('holdfast_origin_requests_total', 'Attempts at the origin.', (o) => o.requests);
  originCounter('holdfast_origin_failures_total', 'Attempts that failed.', (o) => o.failures);
  originCounter('holdfast_origin_ejections_total', 'Passive ejections.', (o) => o.ejections);
  return registry;
}

/**
 * prom-client's own Histogram hashes its labels at every observation, which would be a visible part
 * of a request. This one is filled from counts that the routes keep anyway.
 */
function durationMetric(source: MetricsSource): Metric {
  const name = 'holdfast_request_duration_seconds';
  const help =
    'From the end of a request’s head to the end of its answer; tunnels count at their end.';
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    async get() {
      const values: {
        labels: Record<string, string | number>;
        value: number;
        metricName: string;
      }[] = [];
      for (const { site, path, counts } of source.routes()) {
        let sum = 0;
        for (const [index, bound] of [...durationBoundsS, '+Inf' as const].entries()) {
          sum += counts.durations[index] as number;
          values.push({
            labels: { site, path, le: bound },
            value: sum,
            metricName: `${name}_bucket`,
          });
        }
        values.push({
          labels: { site, path },
          value: counts.durationSumS,
          metricName: `${name}_sum`,
        });
        values.push({ labels: { site, path }, value: sum, metricName: `${name}_count` });
      }
      return { name, help, type: 'histogram', aggregator: 'sum', values };
    },
    reset() {},
  };
  return metric as unknown as Metric;
}
