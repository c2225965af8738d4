/** The report's own rules and its one script. Without the script everything can be read; with it, values under the pointer. */

export const REPORT_STYLE = `
header{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:center}
header>div{flex:1 1 20rem}
.state{display:inline-flex;align-items:center;gap:.5em;font-size:.9rem;font-weight:600;padding:.3rem .8rem;border:1px solid var(--line);border-radius:99px;white-space:nowrap}
.state::before{content:"";width:.6em;height:.6em;border-radius:50%;background:var(--faint)}
.state.running::before{background:var(--c0);animation:pulse 2s infinite}.state.finished::before{background:var(--good)}.state.failed::before{background:var(--bad)}.state.stopped::before{background:var(--warn)}
@keyframes pulse{50%{opacity:.35}}@media(prefers-reduced-motion:reduce){.state::before{animation:none!important}}
.message{border-left:3px solid var(--bad);padding:.3rem .9rem;margin:1rem 0;background:var(--card);overflow-wrap:anywhere}
.stages{display:flex;flex-wrap:wrap;gap:.5rem .6rem;list-style:none;margin:1.4rem 0 0;padding:0}
.stages li{min-width:9rem;font-size:.85rem}
.stages .bar{height:6px;border-radius:3px;background:var(--line);overflow:hidden;margin-bottom:.35rem}
.stages .bar i{display:block;height:100%;background:var(--c0)}
.stages b{font-weight:600}.stages small{color:var(--soft);font-size:1em;display:block}
.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:2.2rem 2.4rem}.charts .full{grid-column:1/-1}
figure{margin:0;min-width:0}
figcaption{display:flex;align-items:baseline;gap:1rem;margin-bottom:.7rem;min-height:1.6rem}
figcaption h3{flex:1}figcaption .unit{font-weight:400;color:var(--soft);margin-left:.35em}
.now{font-size:1.05rem;font-weight:600}
.plot{padding:0 .4rem 1.5rem 3.3rem}.many .plot{padding-right:11rem}
.area{position:relative;touch-action:pan-y;cursor:crosshair}
.area svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible;display:block}
.area path{vector-effect:non-scaling-stroke}.c,.g,.s,.l,.m{fill:none}
.g{stroke:var(--rule);stroke-width:1}.s{stroke:var(--faint);stroke-width:1;stroke-dasharray:2 3}.l{stroke:var(--soft);stroke-width:1;stroke-dasharray:5 4}.m{stroke:var(--bad);stroke-width:1;opacity:.45}
.r{fill:var(--hue);stroke:var(--hue);stroke-width:1;stroke-linejoin:round;opacity:.2}
.c{stroke-linejoin:round;stroke-linecap:round}
.yt,.xt,.st,.lv{position:absolute;font-size:.75rem;line-height:1;color:var(--soft);white-space:nowrap;pointer-events:none}
.yt{right:calc(100% + .5rem);transform:translateY(-50%)}.xt{top:calc(100% + .45rem);transform:translateX(-50%)}
.st{top:-.95rem;padding-left:.25rem;font-size:.7rem;color:var(--faint)}.lv{right:0;transform:translateY(-130%);background:var(--back);padding:0 .2rem}
.mk{position:absolute;bottom:-1px;width:0;height:0;margin-left:-4px;border:4px solid transparent;border-bottom:6px solid var(--bad);border-top:0;pointer-events:none}
.legend,.ends{list-style:none;margin:0;padding:0;font-size:.8rem}
.legend{display:none;flex-wrap:wrap;gap:.15rem 1rem;margin:-.3rem 0 1.1rem}
.legend li::before,.ends li::before{content:"";display:inline-block;width:.85em;height:3px;border-radius:2px;background:var(--hue);margin-right:.45em;vertical-align:.25em}
.legend .dash::before,.ends .dash::before{background:repeating-linear-gradient(90deg,var(--hue) 0 4px,transparent 4px 6px)}
.ends{position:absolute;inset:0 auto 0 calc(100% + .6rem);width:10.4rem}
.ends li{position:absolute;left:0;right:0;transform:translateY(-50%);display:flex;gap:.4em;align-items:baseline;line-height:1.1;white-space:nowrap}
.ends li::before{margin:0;flex:none;align-self:center}.ends span{overflow:hidden;text-overflow:ellipsis}.ends b,.legend b{font-weight:600}
.cursor{position:absolute;top:0;bottom:0;width:1px;background:var(--soft);pointer-events:none}
.tip{position:absolute;bottom:.3rem;transform:translateX(-50%);font-size:.75rem;line-height:1;padding:.25rem .4rem;border-radius:4px;color:var(--back);background:var(--ink);white-space:nowrap;pointer-events:none}
.note{font-size:.82rem;color:var(--soft);margin:.2rem 0 .4rem 3.3rem}
.data{margin-left:3.3rem;font-size:.85rem}.data summary{font-size:.8rem}.data table{font-size:.82rem;width:auto;min-width:50%}.data th,.data td{padding-top:.2rem;padding-bottom:.2rem}.data tbody th{font-weight:400}
.samples{table-layout:fixed}.samples thead th{white-space:normal;font-size:.9rem;color:var(--ink);font-weight:600;unicode-bidi:isolate;overflow-wrap:anywhere}
.samples col.at{width:8.5rem}.samples tbody th{color:var(--soft);font-weight:400;font-size:.82rem}.samples tbody th b{display:block;color:var(--ink);font-weight:600;font-size:.9rem}.samples tbody th span{font-weight:400;color:var(--soft)}.passes{white-space:nowrap}
.samples .same{color:var(--faint)}.samples+.samples,.wide+.wide{margin-top:1.6rem}
.cut{color:var(--soft)}
@media(max-width:620px){.stages{flex-direction:column}.stages li{flex:none!important}.stages small{display:inline;margin-left:.4em}}
@media(max-width:860px){.charts{grid-template-columns:minmax(0,1fr)}}
@media(max-width:720px){.many .plot{padding-right:.4rem}.ends{display:none}.legend{display:flex}.st span{display:none}.plot{padding-left:2.7rem}.data,.note{margin-left:0}.xt.odd{display:none}
.samples,.samples tbody,.samples tr,.samples td,.samples tbody th{display:block;width:auto}.samples thead,.samples colgroup{display:none}.samples tr{padding:.5rem 0;border-bottom:1px solid var(--line)}.samples td,.samples tbody th{border:0;padding:.15rem 0}.samples td::before{content:attr(data-prompt);display:block;font-size:.78rem;color:var(--soft)}.samples tbody th b{display:inline}}
@media print{.charts{grid-template-columns:1fr 1fr}.data:not([open]){display:none}}
`;

/**
 * Pointer and arrow keys move one cursor over all charts. While the run goes on, the page loads itself again, unless somebody is
 * reading a value or has marked text, and says so when the file is no longer renewed.
 */
export const REPORT_SCRIPT = `(()=>{
'use strict';
const D=JSON.parse(document.getElementById('report-data').textContent);
const write={fixed3:v=>v.toFixed(3),whole:v=>Math.round(v).toLocaleString('en'),percent:v=>v.toFixed(0)+' %',short:v=>v!==0&&Math.abs(v)<.01?v.toExponential(2):String(Number(v.toPrecision(3)))};
const charts=D.charts.map(c=>{const e=document.getElementById(c.id);return{...c,area:e.querySelector('.area'),cursor:e.querySelector('.cursor'),tip:e.querySelector('.tip'),
 values:[...e.querySelectorAll('[data-v]')].map(n=>({n,i:Number(n.dataset.v),text:n.textContent}))}});
let at=null;
const nearest=(xs,x)=>{let a=0,b=xs.length-1;while(a<b){const m=(a+b)>>1;if(xs[m]<x)a=m+1;else b=m}return a>0&&x-xs[a-1]<xs[a]-x?a-1:a};
const stageOf=x=>D.stages.findLast(s=>x>s.offset)??D.stages[0];
function show(x,here){
 at=x;
 for(const c of charts){
  c.cursor.hidden=x===null;c.tip.hidden=x===null||c!==here;
  if(x===null){for(const v of c.values)v.n.textContent=v.text;continue}
  const left=100*x/Math.max(1,D.most);c.cursor.style.left=left+'%';
  if(c===here){const s=stageOf(x);c.tip.textContent='step '+(x-(s?s.offset:0)).toLocaleString('en')+(D.stages.length>1&&s?' of '+s.name:'');c.tip.style.left=Math.max(12,Math.min(88,left))+'%'}
  for(const v of c.values){const s=c.series[v.i],xs=D.steps[s.x];v.n.textContent=xs.length?write[c.format](s.y[nearest(xs,x)]):'\\u2013'}
 }
}
for(const c of charts){
 const move=e=>{const r=c.area.getBoundingClientRect();show(Math.max(1,Math.min(D.most,Math.round(D.most*(e.clientX-r.left)/r.width))),c)};
 c.area.addEventListener('pointermove',move);c.area.addEventListener('pointerdown',move);
 c.area.addEventListener('pointerleave',()=>show(null));c.area.addEventListener('blur',()=>show(null));
 c.area.addEventListener('keydown',e=>{const go={ArrowLeft:-1,ArrowRight:1}[e.key];if(e.key==='Escape')show(null);if(!go)return;e.preventDefault();
  const step=Math.max(1,Math.round(D.most/(e.shiftKey?20:200)));show(Math.max(1,Math.min(D.most,(at??D.most)+go*step)),c)});
}
if(!D.refresh)return;
const key='parley-report:'+location.pathname,all=[...document.querySelectorAll('details')];
try{const k=JSON.parse(sessionStorage.getItem(key)??'null');if(k){all.forEach((d,i)=>{d.open=k.open.includes(i)});scrollTo(0,k.y)}}catch{}
const age=()=>(Date.now()-D.updated)/1000;
setInterval(()=>{
 const stale=document.getElementById('stale');if(stale&&age()>Math.max(300,20*D.refresh)){stale.hidden=false}
 if(at!==null||document.hidden||String(getSelection())!=='')return;
 try{sessionStorage.setItem(key,JSON.stringify({y:scrollY,open:all.flatMap((d,i)=>d.open?[i]:[])}))}catch{}
 location.reload();
},1000*D.refresh);
})();`;
