/** Who is asked through a proxy, and who is not. */

import { inPrefix, normalizePrefix } from '../boot/ipv4.ts'
import type { ProxyPlan } from '../boot/proxy-plan.ts'
import type { Source, Sys } from '../sys/index.ts'
import { hostOf, schemeOf } from './url.ts'

/** The proxy for a URL; undefined where there is none, or where the URL's host is to be asked itself. */
export function proxyFor(url: string, { http, https, none }: ProxyPlan): string | undefined {
  const proxy = { http, https }[schemeOf(url) ?? '']
  const host = hostOf(url)
  return host === undefined || none.some((each) => covers(each, host)) ? undefined : proxy
}

/** A name covers what is below it, with or without a dot in front, as curl, wget and apk's libfetch have it. */
function covers(entry: string, host: string): boolean {
  if (entry === '*') return true
  const prefix = normalizePrefix(entry)
  if (prefix !== undefined) return inPrefix(host, prefix.destination.replace(/\/.*/, ''), prefix.prefixLength)
  const [name, asked] = [entry.replace(/^\*?\.|^\[|\]$/g, '').toLowerCase(), host.toLowerCase()]
  return asked === name || asked.endsWith(`.${name}`)
}

/** The machine, with every download through the proxy that the plan of that moment names. */
export function throughProxies(sys: Sys, proxies: () => ProxyPlan | undefined): Sys {
  const asked = (source: Source): Source => {
    const plan = proxies()
    const proxy = plan === undefined || source.kind !== 'http' ? undefined : proxyFor(source.url, plan)
    return proxy === undefined || source.kind !== 'http' ? source : { ...source, proxy }
  }
  return {
    ...sys,
    pipelines: {
      run: (pipeline, options) => sys.pipelines.run({ ...pipeline, source: asked(pipeline.source) }, options),
    },
  }
}
