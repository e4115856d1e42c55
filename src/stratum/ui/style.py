"""The page's style sheet: the report's, and what a page has that answers."""

from __future__ import annotations

from typing import Final

from stratum.engine.report.style import STYLE

PAGE_STYLE: Final = (
    STYLE
    + """
:root{--accent:#2b50c8;--on-accent:#fff;--soft:#eef1fb;--good:#e7f4ee;--bad:#fcecea;color-scheme:light}
@media(prefers-color-scheme:dark){:root{--accent:#8fa8ff;--on-accent:#10131c;--soft:#1d2333;--good:#16291f;--bad:#321b1a;color-scheme:dark}}
html{scroll-padding-bottom:8rem}
body{padding:0;max-width:none}
main{margin:0 auto;max-width:68rem;padding:1.4rem 1rem 4rem}main:focus{outline:none}
.top{border-bottom:1px solid var(--line);background:var(--card)}
.top nav{margin:0 auto;max-width:68rem;padding:.7rem 1rem;display:flex;gap:.2rem;align-items:baseline}
.top .home{font-weight:680;letter-spacing:-.01em}
.top ol{list-style:none;display:flex;margin:0;padding:0;min-width:0}
.top li{color:var(--dim);white-space:nowrap;overflow:hidden;text-overflow:ellipsis}.top li::before{content:"/";margin:0 .45rem;color:var(--line)}
.top li:first-child{flex:none}.top ol{flex:1}.top li:last-child{color:var(--ink)}.top a:hover,main p a,.links a{text-decoration:underline;text-underline-offset:.18em}
h1{letter-spacing:-.015em}h2{letter-spacing:-.005em}
.skip{position:absolute;left:-99rem;top:0;background:var(--accent);color:var(--on-accent);padding:.5rem .9rem;z-index:2}
.skip:focus{left:.5rem;top:.5rem}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.hint,.empty{color:var(--dim);font-size:.88rem;margin:.1rem 0 .6rem}
.said{border-radius:.5rem;padding:.6rem .9rem;margin:0 0 1.1rem;overflow-wrap:anywhere;white-space:pre-line}
.said.well{background:var(--good)}.said.badly{background:var(--bad)}.said ul{margin:.4rem 0 0;padding-left:1.2rem}.said p{margin:0}
.cards{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.cards li+li{border-top:1px solid var(--line)}
.cards a{display:flex;flex-wrap:wrap;gap:.1rem .9rem;align-items:baseline;padding:.6rem .9rem;border-radius:.6rem}
.cards a:hover{background:var(--soft)}.cards .name{flex:1 1 18rem;font-weight:550;overflow-wrap:anywhere}
.cards .told{margin:0;white-space:nowrap;font-variant-numeric:tabular-nums}.cards .mark{min-width:5.6rem;text-align:right;overflow-wrap:anywhere}
.chips{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem;margin:0 0 1rem;padding:0}
.chips li{border:1px solid var(--line);border-radius:2rem;padding:.12rem .7rem;font-size:.84rem;background:var(--card);min-width:0}
.note{background:var(--card);border:1px solid var(--line);border-left:3px solid var(--asking);border-radius:.6rem;padding:.1rem .9rem .7rem;margin:0 0 1rem}
.note h2{margin:.6rem 0 .4rem}.note ul{margin:0;padding-left:1.2rem;overflow-wrap:anywhere}
.step{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .9rem .7rem;margin:.5rem 0}
.step h3{margin:0 0 .3rem;font-size:.98rem;color:var(--ink);font-weight:600;display:flex;flex-wrap:wrap;gap:.2rem .6rem;align-items:baseline}
.step:target{border-color:var(--accent)}
.kind{color:var(--dim);font-size:.78rem;font-weight:500;border:1px solid var(--line);border-radius:2rem;padding:0 .55rem}
.facts{margin:0}.facts div{display:grid;grid-template-columns:minmax(6rem,11rem) 1fr;gap:.1rem .9rem;padding:.14rem 0}
.facts dt{color:var(--dim);font-size:.86rem}.facts dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap;
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.84rem}
.facts .alone dd{font:inherit;font-size:.88rem}
.decision{position:sticky;bottom:0;margin:1.6rem 0 0;background:var(--card);border:1px solid var(--line);border-radius:.6rem;
padding:.7rem .9rem;box-shadow:0 -6px 18px rgb(0 0 0/.07)}
.decision form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}.decision p{margin:0;flex:1 1 18rem;font-size:.9rem}
.decision p+form{margin-top:.5rem}
button,.button{font:inherit;font-weight:560;padding:.42rem .95rem;border-radius:.45rem;border:1px solid var(--line);
background:var(--bg);color:var(--ink);cursor:pointer;display:inline-block;min-height:2.4rem}
main .button{text-decoration:none}.saving{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}.saving .buttons{flex:none;margin:0}
button:hover,.button:hover{border-color:var(--dim)}
button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}button.main:hover{filter:brightness(1.08)}
button.danger{color:var(--failed)}button.danger:hover{border-color:var(--failed)}
.buttons{display:flex;flex-wrap:wrap;gap:.5rem;margin:.8rem 0 0}
.ask{background:var(--card);border:1px solid var(--line);border-left:3px solid var(--asking);border-radius:.6rem;padding:.7rem .9rem .9rem;margin:1rem 0}
.ask pre.seen{margin:.5rem 0;max-height:16rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.ask h2{margin:0;font-size:1.05rem;color:var(--ink);white-space:pre-wrap;overflow-wrap:anywhere}
label{display:block;font-size:.86rem;font-weight:550;margin:.7rem 0 .2rem}
input,select,textarea{font:inherit;color:var(--ink);background:var(--bg);border:1px solid var(--dim);border-radius:.4rem;padding:.4rem .6rem;width:100%;max-width:34rem;display:block}
textarea{resize:vertical;field-sizing:content;min-height:2.4rem}.ask textarea{min-height:4rem}textarea.code{field-sizing:fixed;max-width:none;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.84rem;line-height:1.5;tab-size:2}
input[type=radio]{width:auto;flex:none;margin:.25rem 0 0}
fieldset{border:0;margin:.4rem 0 0;padding:0}.choice{display:flex;gap:.55rem;font-weight:450;font-size:.95rem;margin:.35rem 0;overflow-wrap:anywhere}
section>form>button{margin-top:.8rem}.ask .buttons button{margin:0}
fieldset.step{border:1px solid var(--line);padding:.2rem .9rem .8rem;margin:.9rem 0;min-width:0}fieldset.step legend{font-weight:600;padding:0 .3rem;overflow-wrap:anywhere;max-width:100%}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr));gap:0 .8rem}.row.condition{grid-template-columns:2fr 1fr}
fieldset.step textarea,fieldset.step input,fieldset.step select{max-width:none}input[type=checkbox]{width:auto;flex:none;margin:.25rem 0 0}
.budget{list-style:none;margin:0;padding:.2rem .9rem;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.budget li{padding:.45rem 0;font-size:.9rem;font-variant-numeric:tabular-nums}.budget .track{background:var(--line);height:.4rem;border-radius:.2rem;margin-top:.25rem}
.links{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}
@media(max-width:38rem){.row.condition{grid-template-columns:1fr}.cards .mark{text-align:left}.facts div{grid-template-columns:1fr;padding:.3rem 0}.cards .name{flex-basis:100%}button,.button{flex:1 1 auto;text-align:center}}
@media print{.decision,.top,form{display:none}}
"""
)
