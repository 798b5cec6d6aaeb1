/// Samples of a page in Prometheus' text format, in its order. Pure; what is no sample is passed over.
struct MetricsPage: Sendable {
  struct Sample: Sendable {
    /// Name and labels as they stand there: what tells the series from all others.
    var series: Substring
    var value: Double

    var name: Substring { series.prefix { $0 != "{" } }

    /// A label's value, as it was written.
    func label(_ name: String) -> Substring? {
      guard let brace = series.firstIndex(of: "{") else { return nil }
      var rest = series[series.index(after: brace)...]
      // One label after the other: a value may hold what looks like another label.
      while let equals = rest.firstRange(of: "=\"") {
        let found = rest[..<equals.lowerBound]
        let value = MetricsPage.quoted(rest[equals.upperBound...])
        if found == name { return value }
        rest = rest[value.endIndex...].dropFirst()
        if rest.first == "," { rest.removeFirst() }
      }
      return nil
    }
  }

  let samples: [Sample]

  /// - `names`: the series that are of interest, without labels.
  init(_ page: [UInt8], of names: Set<Substring>) {
    let text = String(decoding: page, as: UTF8.self)
    samples = text.split(separator: "\n").compactMap { line in
      guard line.first != "#", let space = line.lastIndex(of: " "),
        let value = Double(line[line.index(after: space)...])
      else { return nil }
      let sample = Sample(series: line[..<space], value: value)
      return names.contains(sample.name) ? sample : nil
    }
  }

  /// All samples of a name, added up; `nil` when there is none.
  func sum(_ name: Substring) -> Double? {
    samples.reduce(into: Double?.none) { sum, sample in
      if sample.name == name { sum = (sum ?? 0) + sample.value }
    }
  }

  /// Up to the quote that ends a value.
  private static func quoted(_ text: Substring) -> Substring {
    var isEscaped = false
    return text.prefix { character in
      if isEscaped {
        isEscaped = false
        return true
      }
      isEscaped = character == "\\"
      return character != "\""
    }
  }
}
