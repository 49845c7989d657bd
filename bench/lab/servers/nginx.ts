import { tryCommand } from '../command.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** Directives that keep an nginx inside its own directory, in the foreground, quiet. */
export function nginxFrame(directory: string, http: string, workers = 1): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${directory}/tmp-${kind};\n`)
    .join('');
  return `daemon off;
master_process on;
worker_processes ${workers};
user root;
pid ${directory}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 20000;
events { worker_connections ${workers === 1 ? 8192 : 18000}; }
http {
${temporary}  access_log off;
  tcp_nodelay on;
  keepalive_timeout 65s;
${http}}
`;
}

/** `-e` because nginx opens its compiled-in error log before it has read the configuration. */
export const nginxArgv = (directory: string): string[] => [
  'nginx',
  '-e',
  'stderr',
  '-p',
  directory,
  '-c',
  `${directory}/nginx.conf`,
];

export async function nginxVersion(): Promise<string> {
  const { stderr } = await tryCommand(['nginx', '-v']);
  return stderr.trim().replace('nginx version: ', '');
}

const upstream = (name: string, servers: readonly string[]) => `  upstream ${name} {
${servers.map((server) => `    server ${server};\n`).join('')}    keepalive 64;
  }
`;

/** Session tickets as nginx has them by itself: sealed with a key of this one process. */
function tlsLines({ listen, tls }: ServerSite): string[] {
  if (tls === undefined) return [];
  return [
    ...listen.map(({ host }) => `    listen ${hostPort(host, tls.port)} ssl;\n`),
    `    ssl_certificate ${tls.certificateFile};\n`,
    `    ssl_certificate_key ${tls.keyFile};\n`,
  ];
}

/** nginx as a reverse proxy that streams: the way operators set it up for WebSocket and SSE. */
function config(site: ServerSite): string {
  const listen = site.listen
    .map(
      ({ host, port }) =>
        `    listen ${hostPort(host, port)} backlog=4096${site.workers > 1 ? ' reuseport' : ''};\n`,
    )
    .concat(tlsLines(site))
    .join('');
  return nginxFrame(
    site.directory,
    `  map $http_upgrade $connection_to_origin { default upgrade; '' ''; }
${upstream('files', site.files)}${upstream('app', site.app)}  server {
${listen}    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_to_origin;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    proxy_request_buffering off;
    location / { proxy_pass http://app; proxy_buffering off; }
    location /files/ { proxy_pass http://files; proxy_buffers 16 64k; proxy_max_temp_file_size 0; }
  }
`,
    site.workers,
  );
}

/** nginx without holdfast, one worker unless a scenario needs more. */
export const nginx: ServerDriver = {
  name: 'nginx',
  programs: ['nginx'],
  version: nginxVersion,
  plan: (site) => ({ files: { 'nginx.conf': config(site) }, argv: nginxArgv(site.directory) }),
};
