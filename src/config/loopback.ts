import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** True for a listener address that only this machine reaches: `localhost`, 127.0.0.0/8 or `::1`. */
export function isLoopbackHost(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  // BlockList matches IPv4 addresses written as ::ffff:a.b.c.d against the IPv4 rules.
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
