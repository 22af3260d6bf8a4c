/** interfaces(5), ifupdown’s and busybox’s configuration of the network, changed for one boot. */

/**
 * interfaces(5) where nothing starts or stops this link by itself, and nothing configures it: some implementations set
 * even a `manual` link down, if it is `auto`.
 */
export function withoutLink(text: string, link: string): string {
  let inStanza = false
  const lines = text.split('\n').map((line) => {
    const words = line.trim().split(/\s+/)
    const [keyword = '', ...names] = words
    if (/^(auto|allow-.*)$/.test(keyword)) {
      inStanza = false
      if (!names.includes(link)) return line
      const others = names.filter((name) => name !== link)
      return others.length === 0 ? `# ${line.trim()}` : [keyword, ...others].join(' ')
    }
    if (keyword === 'iface') {
      const [name, family = 'inet', method = ''] = names
      inStanza = name === link && method !== 'manual'
      return inStanza ? `iface ${link} ${family} manual` : line
    }
    if (/^(mapping|source|source-directory|template|no-.*)$/.test(keyword)) inStanza = false
    return inStanza && keyword !== '' && !keyword.startsWith('#') ? `#${line}` : line
  })
  return lines.join('\n')
}
