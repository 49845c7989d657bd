/** Numbers of one worker process, summed over all by the supervisor. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** @param droppedLines access log lines that were lost, asked at every collection. */
export function addProcessMetrics(registry: Registry, droppedLines: () => number): void {
  const registers = [registry];
  new Counter({
    name: 'holdfast_worker_cpu_seconds_total',
    help: 'Processor time of all workers.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'holdfast_worker_memory_bytes',
    help: 'Resident memory of all workers.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Counter({
    name: 'holdfast_access_log_dropped_lines_total',
    help: 'Access log lines lost because a reader was too slow or a disk was full.',
    registers,
    collect() {
      this.reset();
      this.inc(droppedLines());
    },
  });
}
