// Minimum-cost matching, as litepose/core/assignment.py.

// Column of each row, or -1: most pairs first, then the least cost; one connected part after another.
export function matchEdges(edges, numRows) {
  const chosen = new Array(numRows).fill(-1);
  const most = edges.reduce((most, { cost }) => Math.max(most, Math.abs(cost)), 0);
  let left = edges;
  while (left.length) {
    const rows = new Set([left[0].row]), columns = new Set();
    for (let before = -1; before !== rows.size + columns.size;) {
      before = rows.size + columns.size;
      for (const { row, column } of left) {
        if (rows.has(row) || columns.has(column)) { rows.add(row); columns.add(column); }
      }
    }
    const [down, across] = [rows, columns].map((set) => [...set].sort((a, b) => a - b));
    const none = 1 + 2 * (down.length + across.length) * most; // worse than any pairs that may be
    const table = down.map(() => across.map(() => none));
    for (const { row, column, cost } of left) {
      if (rows.has(row)) table[down.indexOf(row)][across.indexOf(column)] = cost;
    }
    for (const [i, j] of cheapest(table)) if (table[i][j] < none) chosen[down[i]] = across[j];
    left = left.filter(({ row }) => !rows.has(row));
  }
  return chosen;
}

// Pairs [row, column] of the cheapest full matching: shortest augmenting paths.
function cheapest(cost) {
  const numRows = cost.length, numColumns = cost[0].length;
  if (numRows > numColumns) {
    return cheapest(cost[0].map((_, column) => cost.map((row) => row[column]))).map(([column, row]) => [row, column]);
  }
  const rowPrice = new Float64Array(numRows), columnPrice = new Float64Array(numColumns);
  const rowOf = new Array(numColumns).fill(-1), columnOf = new Array(numRows).fill(-1);
  for (let free = 0; free < numRows; free++) {
    const shortest = new Array(numColumns).fill(Infinity), cameFrom = new Array(numColumns).fill(-1);
    const done = new Set(), visited = [];
    let row = free, distance = 0, column;
    for (;;) {
      visited.push(row);
      column = -1;
      for (let j = 0; j < numColumns; j++) {
        if (done.has(j)) continue;
        const through = distance + cost[row][j] - rowPrice[row] - columnPrice[j];
        if (through < shortest[j]) [shortest[j], cameFrom[j]] = [through, row];
        if (column < 0 || shortest[j] < shortest[column]) column = j;
      }
      distance = shortest[column];
      done.add(column);
      if (rowOf[column] < 0) break;
      row = rowOf[column];
    }
    rowPrice[free] += distance;
    for (const seen of visited.slice(1)) rowPrice[seen] += distance - shortest[columnOf[seen]];
    for (const j of done) columnPrice[j] += shortest[j] - distance;
    do { // back along the path, exchanging matched and unmatched
      row = cameFrom[column];
      rowOf[column] = row;
      [columnOf[row], column] = [column, columnOf[row]];
    } while (row !== free);
  }
  return columnOf.map((column, row) => [row, column]);
}
