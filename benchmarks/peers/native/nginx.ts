import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../../plan/project.ts'
import {
  ANY_TOKEN,
  CONNECTIONS,
  letsEverybodyThrough,
  nodeCommand,
  notInstalled,
  type Peer,
  type Place,
} from '../peer.ts'

const common = {
  ...letsEverybodyThrough,
  isNode: false,
  missing: () => notInstalled('nginx'),
}

/** nginx with one worker, without a log of requests, with kept-alive upstream connections and unbuffered uploads. */
export const nginxPeers: readonly Peer[] = [
  {
    ...common,
    name: 'nginx',
    title: 'nginx, no authentication',
    commands: (place) => [nginx(place, '')],
  },
  {
    ...common,
    name: 'nginx-auth-request',
    title: 'nginx + auth_request to a small Node service on the same core',
    authenticates: true,
    commands: (place) => [
      nodeCommand(place, 'peers/node/verify.js', { port: place.helperPort, token: ANY_TOKEN }),
      nginx(place, 'auth_request /verify;'),
    ],
  },
]

function nginx(place: Place, check: string) {
  const file = join(place.folder, 'nginx.conf')
  writeFileSync(file, configuration(place, check))
  const args = ['-p', place.folder, '-e', 'stderr', '-c', file]
  return { file: findExecutable('nginx') ?? 'nginx', args }
}

function configuration({ folder, port, helperPort, upstream }: Place, check: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  // Started by root, its workers would be another user, who cannot enter the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
${user}
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  keepalive_requests 100000000;
  client_max_body_size 20m;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_request_buffering off;
  upstream api { server 127.0.0.1:${upstream}; keepalive ${CONNECTIONS}; keepalive_requests 100000000; }
  upstream verify { server 127.0.0.1:${helperPort}; keepalive ${CONNECTIONS}; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /api/ {
      ${check}
      proxy_pass http://api;
    }
    location = /verify {
      internal;
      proxy_pass http://verify;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      # A location with fields of its own inherits none: without this, a connection for each request.
      proxy_set_header Connection "";
    }
  }
}
`
}
