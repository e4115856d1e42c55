"""The page's style sheet: a phone's width or a sheet of paper, light or dark."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--bg:#fbfbfa;--card:#fff;--ink:#1c2024;--dim:#646b73;--line:#e2e4e8;--done:#1a7f5a;--failed:#c4332b;
--running:#2563c9;--waiting:#646b73;--asking:#7a3fc4;--cancelled:#a8620c;--exhausted:#a8620c}
@media(prefers-color-scheme:dark){:root{--bg:#121416;--card:#1a1d20;--ink:#e8eaed;--dim:#9aa2ab;--line:#2c3136;--done:#4cc38a;
--failed:#ff7b72;--running:#79a8ff;--waiting:#9aa2ab;--asking:#c297ff;--cancelled:#e0a458;--exhausted:#e0a458}}
*{box-sizing:border-box}
:focus-visible{outline:2px solid var(--running);outline-offset:2px;border-radius:.25rem}
body{margin:0 auto;max-width:68rem;padding:1.5rem 1rem 4rem;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{overflow-wrap:anywhere;font-size:1.6rem;line-height:1.25;margin:.2rem 0}h2{font-size:1.05rem;margin:2.2rem 0 .7rem}
h3{margin:.9rem 0 .3rem;font-size:.8rem;color:var(--dim);font-weight:600}
code,pre,.id{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
a{color:inherit;text-decoration:none}.run{color:var(--dim);margin:.1rem 0 1rem;overflow-wrap:anywhere}
.figures{display:flex;flex-wrap:wrap;gap:.6rem;margin:0}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.55rem .9rem;min-width:7.2rem;flex:1}
.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}.figures dd{margin:0;font-size:1.2rem;font-weight:650}.figures dt{color:var(--dim);font-size:.8rem}
.done,.succeeded{color:var(--done)}.failed{color:var(--failed)}.running,.handed_out,.approved{color:var(--running)}
.waiting,.skipped,.blocked,.discarded{color:var(--waiting)}.cancelled,.exhausted,.interrupted{color:var(--cancelled)}
.asking,.paused,.draft{color:var(--asking)}
.error{color:var(--failed);white-space:pre-wrap;overflow-wrap:anywhere}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem}
svg.graph{display:block;max-width:none;height:auto}
svg.graph path{fill:none;stroke:var(--dim);stroke-width:1.4;opacity:.55}
svg.graph path.head{fill:var(--dim);stroke:none;opacity:.8}svg.graph path.back{stroke:var(--failed);stroke-dasharray:5 4;opacity:.9}
svg.graph path.head.back{fill:var(--failed)}
svg.graph rect{fill:var(--bg);stroke:currentColor;stroke-width:1.6}svg.graph text{fill:var(--ink);font-size:12px}
svg.graph text.id{font-weight:650;font-size:12.5px}svg.graph text.sign{text-anchor:end;fill:currentColor;font-weight:650}
svg.graph a:hover rect,svg.graph a:focus rect{stroke-width:3}svg.graph a:focus{outline:none}
.timeline{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.timeline li+li{border-top:1px solid var(--line)}
.timeline a{display:grid;grid-template-columns:minmax(5rem,14rem) 1fr 8.5rem;gap:.8rem;align-items:center;padding:.28rem .8rem}
.timeline .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:.88rem}
.timeline .fn{color:var(--dim)}
.track{display:block;width:100%;height:.7rem}.track rect{fill:currentColor}
.took{color:var(--dim);font-size:.82rem;text-align:right;white-space:nowrap}
.repairs{overflow-wrap:anywhere;margin:0;padding-left:1.2rem}
details{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:.5rem 0;padding:.1rem .9rem}
details[open]{padding-bottom:.9rem}
summary{cursor:pointer;padding:.5rem 0;display:flex;flex-wrap:wrap;gap:.2rem .7rem;align-items:baseline}
.mark{font-size:.74rem;font-weight:650;min-width:4.6rem}summary .id{font-weight:650}
.fn{overflow-wrap:anywhere}.told{color:var(--dim);font-size:.84rem;margin-left:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.87rem}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:550}td.rejected{color:var(--failed)}td.accepted{color:var(--done)}
pre{background:var(--bg);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem;margin:0;overflow-x:auto;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:24rem}
@media(max-width:38rem){.timeline a{grid-template-columns:5.5rem 1fr}.took{grid-column:2;text-align:left;margin-top:-.3rem}
.told{margin-left:0;width:100%}.figures div{min-width:45%}}
@media print{body{max-width:none;padding:0;background:#fff;font-size:11px}details{break-inside:avoid}pre{max-height:none}
.scroll{overflow:visible}svg.graph{max-width:100%!important;width:auto!important}}
"""
