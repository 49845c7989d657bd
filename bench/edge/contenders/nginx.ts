import { spawnSync } from 'node:child_process';
import { programPath } from '../../measure/machine.ts';
import type { BenchSite, Contender } from '../site.ts';

/** Directives that keep an nginx inside its own directory, in the foreground. */
export function nginxFrame(directory: string, connections: number, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${directory}/tmp-${kind};\n`)
    .join('');
  // As root, nginx would change to an account that may not read the directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `daemon off;
worker_processes 1;
${user}pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections ${connections}; }
http {
${temporary}  tcp_nodelay on;
  sendfile on;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
${http}}
`;
}

/** `-e` because nginx opens its compiled-in error log before it has read the configuration. */
export const nginxArgv = (directory: string): string[] => [
  programPath('nginx') ?? 'nginx',
  '-e',
  'stderr',
  '-p',
  directory,
  '-c',
  `${directory}/nginx.conf`,
];

/**
 * The buffers hold a whole small answer and keep large ones off the disk; connections to the origin
 * are kept. The log has what an operator wants to know, as JSON.
 */
function config(site: BenchSite): string {
  const { directory, port, originPort } = site;
  return nginxFrame(
    directory,
    // With less than a sixteenth of them free, nginx closes connections that have asked nothing yet.
    Math.ceil(2.2 * site.tunnels) + 1_024,
    `  log_format json escape=json '{"time":"$time_iso8601","id":"$request_id",'
    '"client":"$remote_addr","method":"$request_method","host":"$host","target":"$request_uri",'
    '"status":$status,"bytesIn":$request_length,"bytesOut":$body_bytes_sent,'
    '"durationS":$request_time,"origin":"$upstream_addr","originS":"$upstream_header_time",'
    '"agent":"$http_user_agent"}';
  access_log ${directory}/access.log json;
  map $http_upgrade $connection_to_origin { default upgrade; '' ''; }
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_to_origin;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    location / {
      proxy_pass http://origin;
      proxy_buffer_size 16k;
      proxy_buffers 16 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }
    location /tunnel { proxy_pass http://origin; proxy_buffering off; proxy_buffer_size 4k; }
  }
`,
  );
}

export const nginx: Contender = {
  name: 'nginx',
  tunnels: true,
  accessLog: true,
  missing: () => (programPath('nginx') === undefined ? 'nginx is not installed' : undefined),
  version() {
    const { stderr } = spawnSync(programPath('nginx') ?? 'nginx', ['-v'], { encoding: 'utf8' });
    return /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'unknown';
  },
  launch: (site) => ({
    files: { 'nginx.conf': config(site) },
    argv: nginxArgv(site.directory),
  }),
};
