import type { Contender } from '../site.ts';
import { haproxy } from './haproxy.ts';
import { holdfast } from './holdfast.ts';
import { nginx } from './nginx.ts';
import { fastProxy, httpProxy } from './npm-proxy.ts';

export const contenders: readonly Contender[] = [holdfast, nginx, haproxy, httpProxy, fastProxy];
