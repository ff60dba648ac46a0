"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST = 60, MOST_EDGES = 240;
  const STROKE = { mtls: "#1a7f37", tls: "#0969da", plaintext: "#cf222e", unknown: "#6e7781", refused: "#6e7781" };
  const WORD = { mtls: "mTLS", tls: "TLS unopened", plaintext: "plaintext", unknown: "not known", refused: "refused" };
  const FILL = { nobody: ["#f6f8fa", "#8c959f"], named: ["#dafbe1", "#1a7f37"], mesh: ["#fff8c5", "#9a6700"], anybody: ["#ffebe9", "#cf222e"] };
  const OPEN = { anybody: "open to somebody without an identity", mesh: "open to many of the mesh", named: "open to callers that rules name", nobody: "reached by nobody" };
  const RANK = ["nobody", "named", "mesh", "anybody"];
  const find = (id) => document.getElementById(id);
  const svgOf = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  };
  const add = (parent, name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.append(element);
    return element;
  };
  const state = { search: "", namespace: "", principal: "", transports: new Set(), may: true, chosen: null };

  // A frame is a namespace, of its set-up where there are several.
  for (const node of data.nodes) {
    if (node.setUp !== null) node.namespace = node.namespace === null ? node.setUp : `${node.setUp}: ${node.namespace}`;
  }
  data.edges.forEach((edge, at) => {
    edge.id = at;
    const [from, to] = [data.nodes[edge.from], data.nodes[edge.to]];
    edge.text = [from.label, to.label, from.members.join(" "), to.members.join(" "), edge.who, (edge.tokens || []).join(" "), (edge.requests || []).join(" "),
      edge.because.map((one) => one.object || "").join(" ")].join(" ").toLowerCase();
  });
  const transports = [...new Set(data.edges.map((edge) => edge.transport))].sort();
  transports.forEach((transport) => state.transports.add(transport));

  // What the filters leave.
  const visibleEdges = () => data.edges.filter((edge) => {
    const [from, to] = [data.nodes[edge.from], data.nodes[edge.to]];
    return state.transports.has(edge.transport) && (state.may || edge.certain)
      && (!state.namespace || from.namespace === state.namespace || to.namespace === state.namespace)
      && (!state.principal || edge.who === state.principal)
      && (!state.search || state.search.toLowerCase().split(/\s+/).every((word) => edge.text.includes(word)));
  });
  const isFiltered = () => state.search || state.namespace || state.principal || state.transports.size < transports.length || !state.may;

  const collapse = (nodes, edges) => {
    const shown = new Map(), now = new Map();
    for (const node of nodes) {
      const key = node.namespace === null ? "node " + node.id : "namespace " + node.namespace;
      if (!shown.has(key)) {
        shown.set(key, node.namespace === null ? { ...node, key } : { key, label: node.namespace, namespace: null, kind: "namespace", openness: "nobody", members: [], of: node.namespace });
      }
      const whole = shown.get(key);
      if (node.namespace !== null) {
        whole.members = whole.members.concat(node.members);
        if (RANK.indexOf(node.openness) > RANK.indexOf(whole.openness)) whole.openness = node.openness;
      }
      now.set(node.id, key);
    }
    const joined = new Map();
    for (const edge of edges) {
      const [from, to] = [now.get(edge.from), now.get(edge.to)];
      if (from === to) continue;
      const key = JSON.stringify([from, to, edge.transport, edge.certain]);
      if (!joined.has(key)) joined.set(key, { from, to, transport: edge.transport, certain: edge.certain, port: null, parts: [] });
      joined.get(key).parts.push(edge);
    }
    for (const node of shown.values()) if (node.of) node.label = node.of + " (" + node.members.length + ")";
    return [[...shown.values()], [...joined.values()]];
  };

  // Edges between the same nodes over the same transport are one line.
  const bundle = (edges) => {
    const joined = new Map();
    for (const edge of edges) {
      const key = [edge.from, edge.to, edge.transport, edge.certain].join(" ");
      if (!joined.has(key)) joined.set(key, []);
      joined.get(key).push(edge);
    }
    return [...joined.values()].map((parts) => {
      if (parts.length === 1) return { ...parts[0], label: parts[0].port ? ":" + parts[0].port : "" };
      const ports = [...new Set(parts.map((edge) => ":" + edge.port))];
      const { from, to, transport, certain } = parts[0];
      return { from, to, transport, certain, parts, label: ports.slice(0, 3).join(" ") + (ports.length > 3 ? ` and ${ports.length - 3} more` : "") };
    });
  };

  // Callers stand to the left of what they call; circles are cut behind their entrance.
  const layers = (keys, edges) => {
    const next = new Map(keys.map((key) => [key, new Set()])), incoming = new Map(keys.map((key) => [key, 0]));
    for (const [from, to] of edges) if (from !== to && !next.get(from).has(to)) { next.get(from).add(to); incoming.set(to, incoming.get(to) + 1); }
    const order = [...keys].sort((one, other) => incoming.get(one) - incoming.get(other));
    const seen = new Map(), finished = [];
    for (const root of order) {
      if (seen.has(root)) continue;
      seen.set(root, 1);
      const stack = [[root, [...next.get(root)], 0]];
      while (stack.length) {
        const top = stack[stack.length - 1];
        if (top[2] >= top[1].length) { finished.push(top[0]); stack.pop(); continue; }
        const to = top[1][top[2]++];
        if (!seen.has(to)) { seen.set(to, 1); stack.push([to, [...next.get(to)], 0]); }
      }
    }
    finished.reverse();
    const rank = new Map(finished.map((key, at) => [key, at])), layer = new Map(keys.map((key) => [key, 0]));
    for (const key of finished) for (const to of next.get(key)) if (rank.get(to) > rank.get(key)) layer.set(to, Math.max(layer.get(to), layer.get(key) + 1));
    if (Math.max(0, ...layer.values()) < 7) return layer;
    // Where everything calls everything the longest way would make a ribbon; the shortest does not.
    const near = new Map(order.filter((key) => incoming.get(key) === 0).map((key) => [key, 0]));
    const queue = [...near.keys()];
    for (const root of order) {
      if (!near.has(root)) { near.set(root, 0); queue.push(root); }
      while (queue.length) {
        const key = queue.shift();
        for (const to of next.get(key)) if (!near.has(to)) { near.set(to, near.get(key) + 1); queue.push(to); }
      }
    }
    return near;
  };
  const columns = (keys, size, edges, gap, space) => {
    const layer = layers(keys, edges), byLayer = new Map(), before = new Map();
    for (const key of keys) { const at = layer.get(key); if (!byLayer.has(at)) byLayer.set(at, []); byLayer.get(at).push(key); }
    for (const [from, to] of edges) if (layer.get(from) < layer.get(to)) { if (!before.has(to)) before.set(to, []); before.get(to).push(from); }
    const place = new Map(), done = [];
    let x = 0, height = 0;
    for (const at of [...byLayer.keys()].sort((one, other) => one - other)) {
      const members = byLayer.get(at);
      const mean = new Map(members.map((key) => {
        const own = before.get(key) || [];
        return [key, own.length ? own.reduce((sum, from) => sum + place.get(from)[1], 0) / own.length : 1e9];
      }));
      members.sort((one, other) => mean.get(one) - mean.get(other));
      const total = members.reduce((sum, key) => sum + size.get(key)[1] + space, 0);
      const area = members.reduce((sum, key) => sum + (size.get(key)[0] + gap) * (size.get(key)[1] + space), 0);
      const limit = byLayer.size === 1 ? Math.max(Math.sqrt(area), 32) : Math.max(700, Math.sqrt(area * 1.5));
      const most = total / Math.max(1, Math.ceil(total / limit));
      let y = 0, wide = 0, column = [];
      for (const key of members) {
        const [w, h] = size.get(key);
        if (y > 0 && y + h / 2 > most) { done.push([column, y - space]); column = []; x += wide + Math.min(gap, 40); y = 0; wide = 0; }
        place.set(key, [x, y]); column.push(key);
        y += h + space; height = Math.max(height, y - space); wide = Math.max(wide, w);
      }
      done.push([column, y - space]);
      x += wide + gap;
    }
    for (const [column, own] of done) for (const key of column) place.get(key)[1] += (height - own) / 2;
    return [place, [Math.max(0, x - gap), height]];
  };
  const layout = (nodes, edges) => {
    const groups = new Map(), groupOf = new Map(), area = new Map(), boxes = [];
    for (const node of nodes) {
      const key = node.namespace === null ? "node " + node.key : "box " + node.namespace;
      if (!groups.has(key)) groups.set(key, { key, title: node.namespace, nodes: [], edges: [] });
      groups.get(key).nodes.push(node); groupOf.set(node.key, key);
    }
    const between = [];
    for (const edge of edges) {
      const [from, to] = [groupOf.get(edge.from), groupOf.get(edge.to)];
      if (from === to) groups.get(from).edges.push([edge.from, edge.to]); else between.push([from, to]);
    }
    const sizes = new Map();
    for (const group of groups.values()) {
      const size = new Map(group.nodes.map((node) => [node.key, [Math.min(420, Math.max(80, node.label.length * 7.2 + 24)), 32]]));
      const [place, [w, h]] = columns(group.nodes.map((node) => node.key), size, group.edges, 70, 16);
      group.place = place; group.size = size;
      sizes.set(group.key, group.title === null ? [w, h] : [Math.max(w, group.title.length * 7.2) + 32, h + 56]);
    }
    const [place, [w, h]] = columns([...groups.keys()], sizes, between, 110, 32);
    for (const group of groups.values()) {
      const [x, y] = place.get(group.key), [left, top] = group.title === null ? [16, 16] : [32, 56];
      for (const node of group.nodes) {
        const [u, v] = group.place.get(node.key), [nw, nh] = group.size.get(node.key);
        area.set(node.key, { x: x + u + left, y: y + v + top, w: nw, h: nh });
      }
      if (group.title !== null) boxes.push({ title: group.title, x: x + 16, y: y + 16, w: sizes.get(group.key)[0], h: sizes.get(group.key)[1] });
    }
    return { area, boxes, width: w + 60, height: h + 32 };
  };

  // Lines go between nodes: column by column, where nodes begin or end, and turn where nothing stands (as in routes.rs).
  const ASIDE = 6, ABOVE = 4, TURN = 12, ROOM = 30, MOST_STEPS = 60e6;
  const ascending = (values) => [...new Set(values)].sort((one, other) => one - other);
  const wayBetween = (obstacles, start, end, lane) => {
    const columns = ascending([start[0], end[0], ...obstacles.flatMap((o) => [o.x - ASIDE, o.x + o.w + ASIDE]).filter((x) => x > start[0] && x < end[0])]);
    const away = ABOVE + 1 + lane;
    const heights = ascending([start[1], end[1], ...obstacles.flatMap((o) => [o.y - away, o.y + o.h + away])]);
    const [first, last] = [heights.indexOf(start[1]), heights.indexOf(end[1])], came = [];
    let costs = heights.map((_, at) => at === first ? 0 : Infinity);
    for (let k = 0; k + 1 < columns.length; k++) {
      const [left, right] = [columns[k], columns[k + 1]], slope = 1 + ROOM / Math.max(1, right - left);
      const blocked = obstacles.filter((o) => o.x - ASIDE < right - 0.01 && o.x + o.w + ASIDE > left + 0.01).map((o) => [o.y - ABOVE, o.y + o.h + ABOVE]);
      const before = costs.map((cost, at) => blocked.some(([top, bottom]) => heights[at] > top && heights[at] < bottom) ? Infinity : cost);
      const from = heights.map((_, at) => at);
      costs = [...before];
      for (const down of [true, false]) {
        let best = Infinity, origin = -1;
        for (let step = 0; step < heights.length; step++) {
          const at = down ? step : heights.length - 1 - step;
          if (step > 0) {
            const other = heights[down ? at - 1 : at + 1], [top, bottom] = [Math.min(heights[at], other), Math.max(heights[at], other)];
            best = blocked.some(([one, two]) => one < bottom && two > top) ? Infinity : best + (bottom - top) * slope;
          }
          if (best + TURN < costs[at]) { costs[at] = best + TURN; from[at] = origin; }
          if (before[at] < best) { best = before[at]; origin = at; }
        }
      }
      came.push(from);
    }
    if (costs[last] === Infinity) return null;
    let now = last;
    const points = [[columns[columns.length - 1], heights[last]]];
    for (let k = came.length - 1; k >= 0; k--) { now = came[k][now]; points.push([columns[k], heights[now]]); }
    return points.reverse();
  };
  // From the side of the caller that is nearer to what it calls; around the right side where one stands above the other.
  const route = (areas, key, to, shift, lane, plain) => {
    const [a, b] = [areas.get(key), areas.get(to)], [y1, y2] = [a.y + a.h / 2 + shift, b.y + b.h / 2 + shift];
    const others = [...areas].filter(([other]) => other !== key && other !== to).map(([, area]) => area);
    const toRight = b.x >= a.x + a.w;
    if (toRight || b.x + b.w <= a.x) {
      const [start, end] = toRight ? [[a.x + a.w, y1], [b.x, y2]] : [[a.x, y1], [b.x + b.w, y2]], [left, right] = toRight ? [start, end] : [end, start];
      const obstacles = plain ? [] : others.filter((o) => o.x - ASIDE < right[0] && o.x + o.w + ASIDE > left[0]);
      const found = obstacles.length ? wayBetween(obstacles, left, right, lane) : null;
      const points = found === null ? [start, end] : toRight ? found : found.reverse();
      let d = `M${start[0]} ${start[1]}`;
      for (let at = 1; at < points.length; at++) {
        const [[x, y], [u, v]] = [points[at - 1], points[at]], bow = Math.max(-160, Math.min(160, (u - x) / 2));
        d += y === v ? `L${u} ${v}` : `C${x + bow} ${y} ${u - bow} ${v} ${u} ${v}`;
      }
      return { d, x2: end[0], y2, left: toRight };
    }
    const [x1, x2] = [a.x + a.w, b.x + b.w], near = Math.max(x1, x2), [top, bottom] = [Math.min(y1, y2), Math.max(y1, y2)];
    const between = others.filter((o) => o.y < bottom && o.y + o.h > top && o.x < near + 40).map((o) => o.x + o.w + ASIDE);
    const around = Math.max(near + 40, near + (Math.max(near, ...between) - Math.min(x1, x2)) / 0.75) + lane;
    return { d: `M${x1} ${y1}C${around} ${y1} ${around} ${y2} ${x2} ${y2}`, x2, y2, left: false };
  };

  const draw = () => {
    const edges = visibleEdges();
    const used = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
    const whole = !isFiltered();
    let nodes = data.nodes.filter((node) => used.has(node.id) || (whole && node.kind !== "callers" && node.kind !== "outside"));
    let lines = edges;
    const isCollapsed = nodes.length > MOST || edges.length > MOST_EDGES;
    if (isCollapsed) [nodes, lines] = collapse(nodes, edges);
    else { nodes = nodes.map((node) => ({ ...node, key: node.id })); lines = bundle(edges); }
    const { area, boxes, width, height } = layout(nodes, lines);
    const stage = find("stage");
    stage.replaceChildren();
    const [across, down] = [Math.max(200, width), Math.max(100, height)];
    const svg = svgOf("svg", { width: across, height: down, viewBox: `0 0 ${across} ${down}`, role: "img" }, stage);
    // What is a little too wide is made to fit.
    if (across <= stage.clientWidth * 1.8) Object.assign(svg.style, { maxWidth: "100%", height: "auto" });
    const defs = svgOf("defs", {}, svg);
    for (const [name, color] of Object.entries(STROKE)) {
      const marker = svgOf("marker", { id: "m-" + name, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto" }, defs);
      svgOf("path", { d: "M0 0L10 5L0 10z", fill: color }, marker);
    }
    for (const box of boxes) {
      svgOf("rect", { x: box.x, y: box.y, width: box.w, height: box.h, rx: 8, fill: "#f6f8fa", stroke: "#d0d7de" }, svg);
      svgOf("text", { x: box.x + 12, y: box.y + 20, "font-weight": "bold", fill: "#57606a" }, svg).textContent = box.title;
    }
    // Titles are not crossed out.
    const areas = new Map(area);
    boxes.forEach((box, at) => areas.set("title " + at, { x: box.x + 12, y: box.y + 8, w: box.title.length * 7.2, h: 15 }));
    const plain = areas.size * areas.size * 4 * lines.length > MOST_STEPS, numbers = new Map(nodes.map((node, at) => [node.key, at]));
    const parallel = new Map(), beside = new Map(), labels = new Map(), dense = lines.length > 120;
    lines.forEach((edge) => { const pair = edge.from + " " + edge.to; beside.set(pair, (beside.get(pair) || 0) + 1); });
    lines.forEach((edge, at) => {
      const pair = edge.from + " " + edge.to, nth = parallel.get(pair) || 0;
      parallel.set(pair, nth + 1);
      const answered = !beside.has(edge.to + " " + edge.from) ? 0 : String(edge.from) < String(edge.to) ? -0.6 : 0.6;
      const shift = (nth - (beside.get(pair) - 1) / 2 + answered) * 8;
      const { d, x2, y2, left } = route(areas, edge.from, edge.to, shift, numbers.get(edge.from) % 3 * 3, plain);
      const line = svgOf("path", { d, class: "edge", stroke: STROKE[edge.transport], "stroke-width": 1.4, "stroke-opacity": dense ? 0.45 : 0.85, "marker-end": `url(#m-${edge.transport})` }, svg);
      if (!edge.certain) line.setAttribute("stroke-dasharray", "5 4");
      if (edge.id !== undefined) line.dataset.edge = edge.id;
      const hit = svgOf("path", { d, class: "hit" }, svg);
      hit.id = edge.id !== undefined ? "edge-" + edge.id : "bundle-" + at;
      hit.addEventListener("click", () => { document.querySelectorAll(".chosen").forEach((old) => old.classList.remove("chosen")); line.classList.add("chosen"); edge.parts ? showList(title(edge), edge.parts) : showEdge(edge); });
      svgOf("title", {}, hit).textContent = edge.parts ? title(edge) : sentence(edge);
      // One label for all lines that say the same at one side of a node; those of the two sides would meet between columns.
      const side = edge.to + (left ? " left" : " right");
      if (!labels.has(side)) labels.set(side, []);
      const said = labels.get(side);
      if (!dense && edge.label && said.length < 3 && !said.includes(edge.label)) {
        const y = left ? y2 - 4 - 10 * said.length : y2 + 11 + 10 * said.length;
        said.push(edge.label);
        svgOf("text", { x: left ? x2 - 9 : x2 + 9, y, "text-anchor": left ? "end" : "start", fill: STROKE[edge.transport], style: "font-size:9px" }, svg).textContent = edge.label;
      }
    });
    for (const node of nodes) {
      const at = area.get(node.key), callers = ["callers", "outside", "token"].includes(node.kind);
      const [inside, border] = callers ? ["#ffffff", "#57606a"] : FILL[node.openness];
      const group = svgOf("g", { class: "node" }, svg);
      const round = callers ? 16 : node.kind === "gateway" || node.kind === "waypoint" ? 0 : 6;
      svgOf("rect", { x: at.x, y: at.y, width: at.w, height: at.h, rx: round, fill: inside, stroke: border }, group);
      const most = Math.floor((at.w - 16) / 6.6);
      svgOf("text", { x: at.x + at.w / 2, y: at.y + at.h / 2 + 4, "text-anchor": "middle", fill: "#1f2328" }, group).textContent = node.label.length > most + 4 ? node.label.slice(0, most) + "…" : node.label;
      svgOf("title", {}, group).textContent = node.members.slice(0, 30).join(", ") || node.label;
      group.addEventListener("click", () => {
        if (node.of) { state.namespace = node.of; find("namespace").value = node.of; refresh(); return; }
        const own = edges.filter((edge) => edge.from === node.id || edge.to === node.id);
        showList(node.label, own, node);
      });
    }
    find("count").textContent = `${data.workloads} workloads, ${edges.length} of ${data.edges.length} edges` + (isCollapsed ? ", by namespace: click one to open it" : "");
    document.body.dataset.edges = edges.length;
    document.body.dataset.collapsed = isCollapsed;
  };

  const named = (id) => { const node = data.nodes[id]; return node.namespace === null ? node.label : node.namespace + "/" + node.label; };
  const end = (key, id) => typeof key === "string" && key.startsWith("namespace ") ? key.slice(10) : named(id);
  const title = (edge) => `${edge.parts.length} from ${end(edge.from, edge.parts[0].from)} to ${end(edge.to, edge.parts[0].to)}`;
  const sentence = (edge) => `${edge.who || named(edge.from)} → ${named(edge.to)}${edge.port ? ":" + edge.port : ""}: ${(edge.requests || []).join("; ")}`;
  const list = (panel, heading, items) => {
    if (!items || !items.length) return;
    add(panel, "h3", heading);
    const ul = add(panel, "ul");
    items.forEach((item) => add(ul, "li", item));
  };
  const showEdge = (edge) => {
    state.chosen = edge.id;
    const panel = find("panel");
    panel.replaceChildren();
    panel.dataset.edge = edge.id;
    add(panel, "h2", `${named(edge.from)} → ${named(edge.to)}${edge.port ? ":" + edge.port : ""}`);
    add(panel, "div", `${edge.who}, over ${WORD[edge.transport]}`);
    list(panel, "With a", edge.tokens);
    list(panel, "Requests", edge.requests);
    list(panel, "Except", edge.except);
    if (edge.witness) list(panel, "Shown by", [edge.witness]);
    list(panel, "Perhaps", edge.may);
    list(panel, "Note", edge.notes);
    add(panel, "h3", "Why");
    const why = add(panel, "ul");
    for (const one of edge.because) {
      const item = add(why, "li", (one.object ? one.object + ": " : "") + one.text);
      if (one.place) { add(item, "br"); add(item, "code", one.place); }
    }
  };
  const showList = (heading, edges, node) => {
    const panel = find("panel");
    panel.replaceChildren();
    delete panel.dataset.edge;
    add(panel, "h2", heading);
    if (node) { add(panel, "div", OPEN[node.openness]); if (node.members.length > 1) add(panel, "div", node.members.join(", ")); }
    edges.slice(0, 200).forEach((edge) => {
      const row = add(panel, "div", sentence(edge), "row");
      row.style.borderColor = STROKE[edge.transport];
      row.addEventListener("click", () => showEdge(edge));
    });
    if (edges.length > 200) add(panel, "div", `and ${edges.length - 200} more: narrow the search`);
  };
  const refresh = () => {
    draw();
    const panel = find("panel");
    panel.replaceChildren();
    add(panel, "h2", "Click an edge to see why");
    add(panel, "div", "A node lists its edges; a namespace opens.");
    list(panel, "Taken for granted", data.notes);
  };

  const fillSelect = (id, values) => values.forEach((value) => { const option = add(find(id), "option", value); option.value = value; });
  const sorted = (values) => [...new Set(values.filter((value) => value))].sort();
  fillSelect("namespace", sorted(data.nodes.map((node) => node.namespace)));
  fillSelect("principal", sorted(data.edges.map((edge) => edge.who)).slice(0, 5000));
  for (const transport of transports) {
    const label = add(find("transports"), "label"), box = add(label, "input");
    box.type = "checkbox"; box.checked = true; box.id = "transport-" + transport;
    label.append(" " + WORD[transport]);
    box.addEventListener("change", () => { box.checked ? state.transports.add(transport) : state.transports.delete(transport); refresh(); });
  }
  let timer = 0;
  find("search").addEventListener("input", (event) => { clearTimeout(timer); timer = setTimeout(() => { state.search = event.target.value.trim(); refresh(); }, 150); });
  find("namespace").addEventListener("change", (event) => { state.namespace = event.target.value; refresh(); });
  find("principal").addEventListener("change", (event) => { state.principal = event.target.value; refresh(); });
  find("may").addEventListener("change", (event) => { state.may = event.target.checked; refresh(); });
  find("all").addEventListener("click", () => {
    Object.assign(state, { search: "", namespace: "", principal: "", may: true });
    transports.forEach((transport) => { state.transports.add(transport); find("transport-" + transport).checked = true; });
    find("search").value = ""; find("namespace").value = ""; find("principal").value = ""; find("may").checked = true;
    refresh();
  });
  const legend = find("legend");
  for (const openness of ["anybody", "mesh", "named", "nobody"]) {
    const span = add(legend, "span"), swatch = add(span, "i");
    swatch.style.background = FILL[openness][0]; swatch.style.borderColor = FILL[openness][1];
    span.append(OPEN[openness]);
  }
  for (const transport of ["mtls", "plaintext", "tls", "unknown"]) {
    const span = add(legend, "span"), swatch = add(span, "i", undefined, "line");
    swatch.style.borderTopColor = STROKE[transport];
    span.append(WORD[transport]);
  }
  const span = add(legend, "span"), swatch = add(span, "i", undefined, "line");
  swatch.style.borderTopStyle = "dashed";
  span.append("perhaps: the input leaves it open");
  refresh();
})();
