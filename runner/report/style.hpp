// The style sheet of report.html.
#pragma once

#include <string_view>

namespace vm2oci {

inline constexpr std::string_view kReportStyle = R"css(
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1a1d21;--soft:#5b6470;--line:#dfe3e8;--good:#146c3a;
--good-bg:#e3f4ea;--bad:#a11622;--bad-bg:#fbe6e8;--warn:#7a4d00;--warn-bg:#fdf1d8;--bar:#3566b8;--code:#f0f2f5}
@media screen and (prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2126;--text:#e6e9ed;--soft:#9aa4b0;--line:#333a43;
--good:#7fdba4;--good-bg:#143524;--bad:#ff9aa3;--bad-bg:#431c21;--warn:#f2c66d;--warn-bg:#3b2f12;--bar:#6c9be8;
--code:#262b32}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
.verdict{border-radius:.75rem;padding:1.5rem 1.75rem;border:1px solid}
.verdict.yes{background:var(--good-bg);color:var(--good)}
.verdict.no{background:var(--bad-bg);color:var(--bad)}
.verdict h1{margin:0;font-size:2.25rem;line-height:1.2}
.verdict p{margin:.5rem 0 0;font-size:1.1rem;overflow-wrap:anywhere}
.verdict code{background:none;padding:0;font-weight:600}
.source{color:var(--soft);margin:0 0 .75rem;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem 1.75rem;margin:1.25rem 0}
h2{font-size:1.2rem;margin:0 0 .75rem}
code,pre,.number{font-family:ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace;font-size:.875rem}
code{background:var(--code);border-radius:.25rem;padding:.1rem .3rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-top:1px solid var(--line)}
tr:first-child>th,tr:first-child>td{border-top:0}
th[scope=row]{font-weight:500;color:var(--soft);white-space:nowrap;width:1%}
td.number,td.narrow{width:1%;white-space:nowrap}
.timeline{list-style:none;margin:0;padding:0}
.timeline li{display:grid;grid-template-columns:10rem 1fr 9rem;gap:.75rem;align-items:center;padding:.2rem 0}
.track{height:1.1rem;background:var(--code);border-radius:.3rem;position:relative;overflow:hidden}
.bar{position:absolute;top:0;bottom:0;background:var(--bar);border-radius:.3rem;min-width:3px}
.bar.end{background:var(--bad)}
.number{color:var(--soft);text-align:right}
.state{font-weight:600;border-radius:.3rem;padding:.05rem .5rem;white-space:nowrap}
.passed{color:var(--good);background:var(--good-bg)}
.failed,.fatal,.fatal_if_last,.failure{color:var(--bad);background:var(--bad-bg)}
.warning{color:var(--warn);background:var(--warn-bg)}
.not_run{color:var(--soft);background:var(--code)}
img{max-width:100%;height:auto;border:1px solid var(--line);border-radius:.4rem;background:#000}
.console{margin:0;overflow-x:auto;max-height:36rem;overflow-y:auto;background:var(--code);border-radius:.5rem;padding:.75rem 0}
.console span{display:block;white-space:pre;padding:0 .75rem;min-width:max-content}
.console span::before{content:attr(data-line);display:inline-block;width:4.5rem;color:var(--soft);user-select:none}
.console .failed,.console .warning{border-radius:0;font-weight:600}
.console .blamed{outline:2px solid var(--bad);outline-offset:-2px}
footer{color:var(--soft);padding-bottom:2rem;font-size:.875rem}
a{color:inherit}
@media (max-width:40rem){.timeline li{grid-template-columns:1fr 6rem}.track{grid-column:1/-1;grid-row:2}}
@media print{body{background:#fff;font-size:11pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}.console{max-height:none;overflow:visible}
.console span{white-space:pre-wrap;min-width:0;overflow-wrap:anywhere}section{break-inside:auto}h2{break-after:avoid}}
)css";

} // namespace vm2oci
