/** Words of bash that the rehearsals are written in. */

import { join } from 'node:path'
import { packageRoot } from '../../../build/paths.ts'

/** `place` has `said`, what the example has said so far, and `keys`, what is typed at its terminal. */
export const functions = (place: string): string => `
# heard PATTERN [FILE]: waits until the example has said that, or a file has it. The test has the deadline.
heard() { grep -q -m1 -E -- "$1" <(exec tail -n +1 -F "\${2:-${place}/said}" 2> /dev/null); }
# press KEYS: as printf writes them.
press() { printf "$1" > ${place}/keys; }
# serve DIR ADDRESS PORT: by HTTP, from when this returns.
serve() {
  local server
  exec {server}< <(exec node ${join(packageRoot, 'test/support/lab/faulty.ts')} "$2" "$3" "$1" 2>&1)
  grep -q -m1 '^ready at' <&"$server"
}
# serveSafely DIR ADDRESS NAME: by HTTPS, with a certificate that Node is told to trust.
serveSafely() {
  local server pem=${place}/$3.pem
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$3" -addext "subjectAltName=DNS:$3" -keyout "$pem.key" -out "$pem"
  exec {server}< <(cd "$1"; exec openssl s_server -accept "$2:443" -WWW -cert "$pem" -key "$pem.key" 2>&1)
  grep -q -m1 '^ACCEPT' <&"$server"
  export NODE_EXTRA_CA_CERTS=$pem
}
# at ADDRESS: it is this machine's.
at() { ip link add br0 type bridge; ip addr add "$1/24" dev br0; ip link set br0 up; }
`
