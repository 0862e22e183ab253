/* The theme lets Mermaid scale a wide diagram down until nobody can read it. Here all keep their size. */
{
  const initialize = mermaid.initialize;
  const flowchart = { useMaxWidth: false, nodeSpacing: 25, padding: 8, rankSpacing: 30, wrappingWidth: 290 };
  const sequence = { useMaxWidth: false, actorMargin: 12, diagramMarginX: 4, width: 98, wrap: true };
  // Mermaid puts the diagram's id before "arrowhead", so the theme's own rule for it finds nothing.
  const colour = "var(--md-mermaid-sequence-message-line-color)";
  const arrows = `[id$="arrowhead"] path { fill: ${colour}; stroke: ${colour}; }`;
  mermaid.initialize = (options) =>
    initialize({
      ...options,
      themeCSS: `${options.themeCSS ?? ""} ${arrows}`,
      flowchart: { ...options.flowchart, ...flowchart },
      sequence: { ...options.sequence, ...sequence },
    });
}
