/** What a node answers about its mesh, whether it heals or not. */
import type { AdminRoute, AdminRoutes } from '../admin/admin-server.ts';
import type { KeyChange, MeshAdmin } from '../sync/mesh-admin.ts';

/** Other nodes' answers about their keys are waited for this long. */
const KEYS_WAIT_MS = 1_000;

export function meshRoutes(admin: MeshAdmin): AdminRoutes {
  const read = (answer: () => unknown): AdminRoute => ({
    method: 'GET',
    answer: async () => ({ status: 200, body: await answer() }),
  });
  const changed = async (change: KeyChange) => ({
    status: 200,
    body: { ...change, storage: await admin.keysStored() },
  });
  const change = (name: 'key' | 'id', apply: (text: string) => KeyChange): AdminRoute => ({
    method: 'POST',
    answer: async ({ body }) => {
      const text = textIn(body, name);
      if (text === undefined) return { status: 400, body: { error: `{"${name}": …} is needed` } };
      return changed(apply(text));
    },
  });
  return {
    '/mesh/nodes': read(() => admin.nodes()),
    '/mesh/keys': read(() => admin.keysOfAll(KEYS_WAIT_MS)),
    '/mesh/keys/add': change('key', (key) => admin.addKey(key)),
    '/mesh/keys/use': change('id', (id) => admin.useKey(id)),
    '/mesh/keys/retire': change('id', (id) => admin.retireKey(id)),
    '/mesh/keys/renew-ticket': {
      method: 'POST',
      answer: () => changed(admin.renewTicketKey()),
    },
  };
}

/** A text in a JSON object. */
function textIn(json: string, name: string): string | undefined {
  try {
    const value = (JSON.parse(json) as Record<string, unknown> | null)?.[name];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
