/** nginx's configuration: the files of one directory, each request on standard error. */

/** PEM files. */
export interface SecureOptions {
  readonly certificate: string
  readonly key: string
  /** Whose certificates clients must have. */
  readonly clients: string
}

/** `addresses`: as a `listen` has them. */
export function nginxConfiguration(
  addresses: readonly string[],
  root: string,
  directory: string,
  https: SecureOptions | undefined,
): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
# One process: no worker outlives it.
master_process off;
pid ${directory}/nginx.pid;
error_log stderr notice;
events { worker_connections 128; }
http {
  log_format short '$remote_addr "$request" $status $body_bytes_sent "$http_range"';
  access_log /dev/stderr short;
  default_type application/octet-stream;
  sendfile on;
  ${kinds.map((kind) => `${kind}_temp_path ${directory}/nginx-${kind};`).join('\n  ')}
  server { ${addresses.map((each) => `listen ${each}:80;`).join(' ')} root "${root}"; }
  ${https === undefined ? '' : secureServer(addresses, root, https)}
}
`
}

function secureServer(
  addresses: readonly string[],
  root: string,
  { certificate, key, clients }: SecureOptions,
): string {
  return `server {
    ${addresses.map((each) => `listen ${each}:443 ssl;`).join(' ')} root "${root}";
    ssl_certificate "${certificate}"; ssl_certificate_key "${key}";
    ssl_client_certificate "${clients}"; ssl_verify_client on;
  }`
}

/** Through cat: nginx opens /dev/stderr by name, and cannot where that is a socket, as Node's pipes are. */
export function nginxScript(configuration: string): string {
  return `nginx -e stderr -c ${configuration} 2>&1 | cat`
}
