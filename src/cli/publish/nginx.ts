/** nginx.conf: nothing but static files (https://nginx.org/en/docs/). */

import { origin, type Site, type Tls } from './site.ts'

/** A whole configuration: `nginx -c FILE`. */
export function nginxConfiguration({ directory, url, tls }: Site): string {
  const { port, path } = placeOf(url, tls !== undefined)
  return `# ${origin}
# To run it: nginx -c THIS FILE. Or put the server block into a configuration that is there.
events {}
http {
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  server {
    listen ${port}${tls === undefined ? '' : ' ssl'};
${tls === undefined ? '' : secured(tls)}    location ${path} {
      ${path === '/' ? `root ${quote(directory)}` : `alias ${quote(`${directory}/`)}`};
      # What a broken download goes on with.
      etag on;
    }
    # Named by their digests, and so never another thing.
    location ${path}files/ {
      ${path === '/' ? `root ${quote(directory)}` : `alias ${quote(`${directory}/files/`)}`};
      add_header Cache-Control "public, max-age=31536000, immutable";
    }
    # The files for the servers themselves are nobody's business.
    location ${path}servers/ {
      return 404;
    }
  }
}
`
}

/** Without a certificate to name, TLS ends before this server. */
function placeOf(url: string | undefined, secure: boolean): { readonly port: number; readonly path: string } {
  if (url === undefined) return { port: 80, path: '/' }
  const { port, pathname, protocol } = new URL(url)
  if (protocol === 'https:') return { port: !secure ? 80 : port === '' ? 443 : Number(port), path: pathname }
  return { port: port === '' ? 80 : Number(port), path: pathname }
}

/** Read once, by root, when nginx starts: 'nginx -s reload' after the certificate was renewed. */
function secured({ certificate, key }: Tls): string {
  return `    ssl_certificate ${quote(certificate)};
    ssl_certificate_key ${quote(key)};
    # A thousand machines shake hands at once: those that come back need not do all of it again.
    ssl_session_cache shared:diskless:10m;
`
}

function quote(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
