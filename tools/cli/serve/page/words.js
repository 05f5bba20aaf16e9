/* words.js: the start page's words. */
"use strict";
const words = {
  en: {
    other: "中文", invite: "Drop a picture here, or choose a file", model: "Model",
    method: "Method", target: "Class (empty: the most probable)", key: "Key",
    text: "What to look for, in words",
    among: "Told from: other texts, one a line (may be empty)",
    explain: "Explain", report: "Report", working: "Working…", done: "The report is below.",
    none: "Choose a picture first.", type: "This is no JPEG and no PNG.", cost: "Cost",
    saved: "The report has been saved.", unreachable: "The server does not answer.",
    refused: "The server refused it: see below.",
  },
  zh: {
    other: "English", invite: "把图片拖到这里，或选择文件", model: "模型",
    method: "方法", target: "类别（留空：最可能的类别）", key: "密钥",
    text: "要找什么（用文字描述）",
    among: "与哪些文字区分：每行一条（可留空）",
    explain: "解释", report: "报告", working: "正在计算…", done: "报告在下方。",
    none: "请先选择图片。", type: "这不是 JPEG 或 PNG 图片。", cost: "开销",
    saved: "报告已保存。", unreachable: "服务器没有响应。",
    refused: "服务器拒绝了请求：见下方。",
  },
};
