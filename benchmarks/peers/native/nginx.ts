import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../../plan/project.ts'
import { certificateFiles } from '../../servers/keys.ts'
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

/** nginx over TLS: its default, session tickets included, and nothing is stored. */
export function secureNginx(name: string, protocol: NonNullable<Peer['secure']>): Peer {
  return {
    ...common,
    name,
    title: `nginx over TLS, ${protocol === 'h2' ? 'HTTP/2' : 'HTTP/1.1'}, no authentication`,
    secure: protocol,
    commands: (place) => [nginx(place, '', protocol)],
  }
}

function nginx(place: Place, check: string, secure?: Peer['secure']) {
  const file = join(place.folder, 'nginx.conf')
  writeFileSync(file, configuration(place, check, secure))
  const args = ['-p', place.folder, '-e', 'stderr', '-c', file]
  return { file: findExecutable('nginx') ?? 'nginx', args }
}

function configuration(place: Place, check: string, secure: Peer['secure']): string {
  const { folder, port, helperPort, upstream } = place
  const listen = secure === undefined ? '' : secure === 'h2' ? ' ssl http2' : ' ssl'
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
    listen 127.0.0.1:${port}${listen} backlog=4096;
    ${secure ? certificate(place) : ''}
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

function certificate(place: Place): string {
  const { certFile, keyFile } = certificateFiles(place)
  return `ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};`
}
