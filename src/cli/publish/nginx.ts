/** nginx.conf: nothing but static files (https://nginx.org/en/docs/). */

import { origin, type Site } from './site.ts'

/** A whole configuration: `nginx -c FILE`. */
export function nginxConfiguration({ directory, url }: Site): string {
  const { port, path } = placeOf(url)
  return `# ${origin}
# To run it: nginx -c THIS FILE. Or put the server block into a configuration that is there.
events {}
http {
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  server {
    listen ${port};
    location ${path} {
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

function placeOf(url: string | undefined): { readonly port: number; readonly path: string } {
  if (url === undefined) return { port: 80, path: '/' }
  const { port, pathname, protocol } = new URL(url)
  // TLS ends before this server: it has no certificate to name.
  return { port: protocol === 'https:' || port === '' ? 80 : Number(port), path: pathname }
}

function quote(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
