import AvaloCore
import AvaloSystem

/// How the whole is: avalod's own state, what its workers use, and the indicators over time.
struct Overview: Sendable {
  let control: ControlSocket
  let watcher: Watcher

  func answer(_ request: HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8] {
    let since = request.given("since").flatMap { Int64($0) } ?? 0
    let status = try await control.get("/status")
    return Overview.document(status, await watcher.usages, await watcher.history.points.filter { $0.at > since })
  }

  /// - `status`: avalod's own document, told as it is.
  /// - `points`: oldest first.
  static func document(_ status: [UInt8], _ usages: [String: WorkerUsage], _ points: [History.Point]) -> [UInt8] {
    var json = JSONWriter(capacity: status.count + 64 * points.count + 4096)
    json.object {
      $0.key("status")
      $0.raw(status)
      $0.key("usage")
      $0.object {
        for (instance, usage) in usages.sorted(by: { $0.key < $1.key }) {
          $0.key(instance)
          $0.object { usage.write(to: &$0) }
        }
      }
      $0.key("indicators")
      $0.array {
        for (place, indicator) in Indicator.allCases.enumerated() {
          $0.object { $0.indicator(indicator, points.map { $0.values[place] }) }
        }
      }
      $0.key("times")
      $0.array { for point in points { $0.integer(point.at) } }
    }
    return json.take()
  }
}

extension WorkerUsage {
  fileprivate func write(to json: inout JSONWriter) {
    json.member("memoryBytes", memoryBytes)
    json.member("cpuShare", cpuShare)
    json.member("openDescriptors", openDescriptors)
    json.member("maxDescriptors", maxDescriptors)
    json.member("threads", threads)
  }
}

extension JSONWriter {
  fileprivate mutating func indicator(_ indicator: Indicator, _ values: [Double?]) {
    member("id", indicator.rawValue)
    member("title", indicator.title)
    member("unit", indicator.unit.rawValue)
    key("thresholds")
    array {
      for threshold in indicator.thresholds {
        $0.object {
          $0.member("severity", threshold.severity.rawValue)
          $0.member("value", threshold.value)
        }
      }
    }
    key("values")
    array { for value in values { $0.number(value) } }
  }

  fileprivate mutating func member(_ name: StaticString, _ value: Double?) {
    key(name)
    number(value)
  }

  /// A millionth is as fine as anybody looks; what JSON has no number for is `null`.
  fileprivate mutating func number(_ value: Double?) {
    guard let value, value.isFinite else { return null() }
    let rounded = (value * 1e6).rounded() / 1e6
    if rounded == rounded.rounded(), abs(rounded) < 1e15 { return integer(Int64(rounded)) }
    raw("\(rounded)".utf8)
  }
}
