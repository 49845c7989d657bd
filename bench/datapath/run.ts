/** What `npm run bench:datapath` starts: `holdfast bench datapath`, with the same options. */
process.argv.splice(2, 0, 'bench', 'datapath');
await import(new URL('../../bin/holdfast.js', import.meta.url).href);
