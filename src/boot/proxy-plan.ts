/**
 * http_proxy=, https_proxy= and no_proxy=: the kernel hands such words to init as its environment, where Alpine's wget
 * and apk find them; here they are parameters like any other.
 */
import { BootError } from '../sys/error.ts'
import type { Settings } from './settings.ts'

export interface ProxyPlan {
  /** `http://[USER:PASSWORD@]HOST[:PORT]`, by the scheme of what is fetched. */
  readonly http: string | undefined
  readonly https: string | undefined
  /** Whom to ask without one: names with everything below them, addresses, IPv4 prefixes, `*`. */
  readonly none: readonly string[]
}

/** Throws a `BootError` for what is no proxy that can be spoken to. */
export function planProxies(settings: Settings): ProxyPlan {
  return {
    http: proxyOf(settings, 'http_proxy'),
    https: proxyOf(settings, 'https_proxy'),
    none: settings.all('no_proxy').flatMap((value) => value.split(/[\s,]+/).filter((each) => each !== '')),
  }
}

const proxyUrl = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:[^@/]*@)?(?:[^@/:[\]]+|\[[\da-f:.]+\])(?::\d{1,5})?\/?$/i

function proxyOf(settings: Settings, name: 'http_proxy' | 'https_proxy'): string | undefined {
  const text = settings.text(name)
  if (text === undefined || text === '') return undefined
  const [whole, scheme = 'http'] = proxyUrl.exec(text) ?? []
  const shown = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1')
  if (whole === undefined) {
    throw new BootError(`${name}=${shown} is not the URL of a proxy`, {
      advice: [
        `it looks like ${name}=http://proxy.example:3128, with user:password@ before the host if need be`,
      ],
    })
  }
  if (scheme.toLowerCase() !== 'http') {
    throw new BootError(`${name}=${shown}: a proxy is spoken to by http, ${scheme}:// is refused`, {
      advice: [`name its http port; what is fetched by https goes through it as it is: ${name}=http://…`],
    })
  }
  const bare = text.replace(/\/$/, '')
  return bare.includes('://') ? bare : `http://${bare}`
}
