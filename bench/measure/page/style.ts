/** How reports look: light and dark, on paper and on a phone. No fonts and no images from outside. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f7f9; --ink: #16191d; --soft: #59626e; --line: #d9dee4;
  --good: #0b6b3a; --good-paper: #dff3e6; --bad: #a3240f; --bad-paper: #fbe3dd;
  --some: #7a5200; --some-paper: #fbefd2; --link: #0a58a8; --grid: #e4e8ed;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --panel: #1c2026; --ink: #e8ebef; --soft: #9aa5b1; --line: #343b45;
    --good: #7fdca4; --good-paper: #123222; --bad: #ff9f8a; --bad-paper: #41190f;
    --some: #f0c463; --some-paper: #372a0b; --link: #7fb8f5; --grid: #2a3038;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 76rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem; padding-top: .4rem; letter-spacing: -.005em; }
h3 { font-size: 1.05rem; margin: 0 0 .2rem; }
h4 { font-size: .9rem; margin: 0 0 .4rem; color: var(--soft); font-weight: 600; }
p { margin: .3rem 0 .8rem; max-width: 62em; }
a { color: var(--link); }
.soft { color: var(--soft); }
.small { font-size: .84rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .86em; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap; margin: .4rem 0 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)); gap: .8rem; margin: 1.2rem 0 1.4rem; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; background: var(--panel); }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .84rem; }
.tile.good b { color: var(--good); } .tile.bad b { color: var(--bad); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; margin: .6rem 0 1rem; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; overflow-wrap: normal; }
th { font-weight: 600; }
thead th { background: var(--panel); vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 0; }
th[scope=row], thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); min-width: 8.5rem; max-width: 22rem; }
thead th:first-child { background: var(--panel); }
th small, td small { display: block; font-weight: 400; color: var(--soft); font-size: .8rem; line-height: 1.35; }
td small { white-space: nowrap; }
td.text, th.text { text-align: left; min-width: 12rem; overflow-wrap: anywhere; }
td.good { background: var(--good-paper); color: var(--good); } td.bad { background: var(--bad-paper); color: var(--bad); }
td.some { background: var(--some-paper); color: var(--some); }
td.good small, td.bad small, td.some small { color: inherit; opacity: .85; }
td b { font-weight: 650; white-space: nowrap; }
.key { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; color: var(--soft); font-size: .84rem; margin: 0 0 1rem; padding: 0; list-style: none; }
.key i { display: inline-block; width: .9em; height: .9em; border-radius: 3px; margin-right: .4em; vertical-align: -.1em; border: 1px solid var(--line); }
.key i.good { background: var(--good-paper); } .key i.some { background: var(--some-paper); } .key i.bad { background: var(--bad-paper); }
.card { border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.1rem 1.1rem; margin: 1rem 0 1.4rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20.5rem), 1fr)); gap: 1.1rem 1.4rem; margin: .8rem 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .86rem; color: var(--soft); margin-top: .2rem; }
details { margin: .35rem 0; }
summary { cursor: pointer; color: var(--link); font-size: .88rem; }
summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
ul.plain { margin: .3rem 0 .8rem; padding-left: 1.15rem; }
ul.plain li { margin: .12rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0 1rem; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; }
nav { font-size: .88rem; margin: .6rem 0; } nav a { margin-right: .9rem; white-space: nowrap; }
.note { border-left: 3px solid var(--some); background: var(--some-paper); padding: .5rem .8rem; border-radius: 0 8px 8px 0; margin: .8rem 0; font-size: .92rem; }
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; font-size: 15px; }
  h1 { font-size: 1.4rem; } .card { padding: .8rem .75rem; } th, td { padding: .4rem .5rem; }
  th[scope=row] { min-width: 7.5rem; max-width: 9.5rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
@media print { .card, figure { break-inside: avoid; } body { max-width: none; } }
`;
