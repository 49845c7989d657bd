/** The part of a configuration that an agent reads: mesh and datapath. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { AddressError, formatHostPort, parseHostPort } from './address.ts';
import { parseClusterKey } from './cluster-key.ts';
import { ms, oneOrMore, parsed } from './schema-values.ts';

/** `192.0.2.1:7946`, `[2001:db8::1]:7946`: no names, because nothing may wait for a look-up. */
const socketAddress = parsed((text) => {
  const { host, port } = parseHostPort(text);
  if (isIP(host) === 0 || port === 0) {
    throw new AddressError(`"${text}" is not an IP address with a port: write ADDRESS:7946`);
  }
  return formatHostPort({ host, port });
});

const ipAddress = parsed((text) => {
  if (isIP(text) === 0 || text.includes('%')) {
    throw new AddressError(`"${text}" is not an IP address`);
  }
  return text;
});

export const mesh = z
  .strictObject({
    listen: socketAddress.describe(
      'Address and port of this node in the mesh, UDP and TCP. With `datapath`, the address is that of `datapath.underlay`.',
    ),
    join: oneOrMore(socketAddress)
      .optional()
      .describe(
        'Addresses of some other nodes. A node that can reach one of them finds all; its own is ignored.',
      ),
    keys: oneOrMore(parsed(parseClusterKey)).describe(
      'Secrets of the cluster, as `holdfast keys generate` prints them: the first is used, all are accepted.',
    ),
    label: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .default('holdfast')
      .describe('Name of the cluster: nodes of another label are not even tried.'),
    keyring: z
      .string()
      .startsWith('/')
      .optional()
      .describe(
        'File in which the cluster keys are kept once `holdfast keys` changed them, readable by this node alone. Default: `keyring-LABEL-NODE.json` in `$STATE_DIRECTORY`, else in `/var/lib/holdfast`.',
      ),
    ticketKeyMs: ms(60_000, 7 * 24 * 3_600_000)
      .default(6 * 3_600_000)
      .describe(
        'How long one key seals TLS session tickets, on all nodes; a ticket resumes at any node for as long.',
      ),
  })
  .describe(
    'The nodes of all PoPs, and what they know together. Without `datapath` they share TLS ticket keys and session records, and no session is healed.',
  );

export const datapath = z
  .strictObject({
    uplink: oneOrMore(z.string().regex(/^[^\s/]{1,15}$/)).describe(
      'Devices by which clients’ packets come in.',
    ),
    underlay: ipAddress.describe(
      'Address of this node by which the other nodes send it packets of its clients. The same family on all nodes.',
    ),
    secret: z
      .string()
      .min(8)
      .max(1_024)
      .optional()
      .describe(
        'A text that all nodes know and nobody else: without it, clients could choose ports that burden one node. Default: the label of the mesh.',
      ),
    tunnelDevice: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,15}$/)
      .default('holdfast0')
      .describe('Name of the tunnel device that is made.'),
    tunnelPort: z
      .int()
      .min(1)
      .max(65_535)
      .default(4_789)
      .describe('UDP port of the tunnel (VXLAN), the same on all nodes.'),
    pinDirectory: z
      .string()
      .startsWith('/')
      .default('/run/holdfast/bpf')
      .describe('Where the kernel’s state is kept across restarts of the agent.'),
    graceMs: ms(0, 60_000)
      .default(500)
      .describe('A flow that nobody knows is searched for this long before it is reset.'),
    ticketsMax: z
      .int()
      .min(1_024)
      .max(2 ** 26)
      .default(524_288)
      .describe(
        'Most flows of other nodes known to the kernel, 121 bytes each, allocated at the start.',
      ),
    ownFlowsMax: z
      .int()
      .min(1_024)
      .max(2 ** 26)
      .default(262_144)
      .describe('Most flows of this node that can be healed, 113 bytes each, like those.'),
  })
  .describe('Healing in the kernel. Needs `mesh` and `vips`.');
