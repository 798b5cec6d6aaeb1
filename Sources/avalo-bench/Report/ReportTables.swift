/// A report as rows of text, from which both the terminal's tables and Markdown's are made.
struct ReportTables {
  let report: Report

  private var figureRows: [[String]] {
    report.figures.map { [$0.name, Numbers.text($0.value) + ($0.unit.isEmpty ? "" : " \($0.unit)")] }
  }

  private var latencyRows: [[String]] {
    guard !report.latencies.isEmpty else { return [] }
    return [["ms", "count", "p50", "p95", "p99", "p99.9", "max"]]
      + report.latencies.map { row in
        [row.name, Numbers.text(Double(row.count), decimals: 0)]
          + [row.p50, row.p95, row.p99, row.p999, row.max].map(Numbers.milliseconds)
      }
  }

  private var processRows: [[String]] {
    guard !report.processes.isEmpty else { return [] }
    let withMemory = report.processes.contains { $0.pssBytesPerUnit != nil }
    var head = ["process", "CPU", "CPU-µs/\(report.unit)"]
    if withMemory { head += ["Pss/\(report.unit)", "Rss/\(report.unit)", "Pss"] }
    return [head]
      + report.processes.map { process in
        var row = [
          process.name, Numbers.text(process.cpuShare * 100, decimals: 1) + " %",
          Numbers.text(process.cpuMicrosecondsPerUnit),
        ]
        guard withMemory else { return row }
        row += [process.pssBytesPerUnit, process.rssBytesPerUnit].map { $0.map(Numbers.bytes) ?? "" }
        row.append(process.pssBytes > 0 ? Numbers.bytes(Double(process.pssBytes)) : "")
        return row
      }
  }

  /// For a terminal.
  var text: String {
    var lines = [report.title, ""]
    for rows in [figureRows, latencyRows, processRows] where !rows.isEmpty {
      lines += ReportTables.aligned(rows).map { "  " + $0 } + [""]
    }
    lines += report.notes.map { "  \($0)" }
    lines += report.complaints.map { "  WRONG: \($0)" }
    if report.complaints.isEmpty { lines.append("  nothing lost, duplicated or reordered; nothing failed") }
    return lines.joined(separator: "\n")
  }

  /// For docs/benchmarks.md.
  var markdown: String {
    var lines = ["## \(report.title)", "", "`\(report.command)`", ""]
    if !figureRows.isEmpty { lines += ReportTables.markdown([["", ""]] + figureRows) + [""] }
    for rows in [latencyRows, processRows] where !rows.isEmpty { lines += ReportTables.markdown(rows) + [""] }
    lines += report.notes.map { "- \($0)" }
    lines += report.complaints.map { "- **Wrong:** \($0)" }
    if report.complaints.isEmpty { lines.append("- Nothing lost, duplicated or reordered; nothing failed.") }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The first column to the left, the others to the right.
  private static func aligned(_ rows: [[String]]) -> [String] {
    let widths = (0..<(rows.map(\.count).max() ?? 0)).map { column in
      rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }.joined(separator: "  ")
    }
  }

  private static func markdown(_ rows: [[String]]) -> [String] {
    let line = { (cells: [String]) in "| " + cells.joined(separator: " | ") + " |" }
    let rule = ["---"] + Array(repeating: "---:", count: rows[0].count - 1)
    return [line(rows[0]), line(rule)] + rows.dropFirst().map(line)
  }
}
