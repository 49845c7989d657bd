/** HTTP with or without TLS, by the beginning of a URL. */
import * as http from 'node:http';
import * as https from 'node:https';

/** The part of `node:http` that clients use. */
export interface HttpModule {
  readonly get: typeof http.get;
  readonly Agent: new (options: http.AgentOptions) => http.Agent;
}

export const httpFor = (baseUrl: string): HttpModule =>
  baseUrl.startsWith('https:') ? (https as unknown as HttpModule) : http;
