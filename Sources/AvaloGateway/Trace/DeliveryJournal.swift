import AvaloCore
import AvaloMetrics
import Dispatch
import Glibc
import Synchronization

/// What went otherwise than it should, for whoever asks later why a user did not get an event: connections that ended and
/// up to where they had been written, those that were refused or sent away, subscriptions that parked. What went well is
/// not written down: it follows from cursors and positions (docs/decisions/0010-only-exceptions-are-written-down.md).
///
/// Lines of JSON in two files, the younger of which is written to: bounded on disk. Loops hand lines over and wait for
/// nobody; what comes faster than it can be written is counted and dropped: bounded in memory. Any thread.
final class DeliveryJournal: Sendable {
  private struct State {
    var pending: [UInt8] = []
    var isScheduled = false
    var dropped = 0
  }

  let path: String
  private var older: String { path + ".1" }
  private let segmentBytesMax: Int
  private let droppedTotal: Counter?
  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "delivery-journal", qos: .utility)

  init(path: String, dropped: Counter? = nil, segmentBytesMax: Int = GatewayLimits.traceBytesDefault / 2) {
    self.path = path
    self.segmentBytesMax = segmentBytesMax
    droppedTotal = dropped
  }

  /// Adds a line: an object of `kind`, `at` (ms since 1970) and what `members` writes.
  func note(_ kind: StaticString, at milliseconds: Int64, _ members: (inout JSONWriter) -> Void) {
    var json = JSONWriter(capacity: 256)
    json.object {
      $0.member("at", milliseconds)
      $0.key("kind")
      $0.string("\(kind)")
      members(&$0)
    }
    let line = json.take()
    let mustSchedule = state.withLock { state in
      guard state.pending.count + line.count < GatewayLimits.journalPendingBytesMax else {
        state.dropped += 1
        return false
      }
      state.pending += line
      state.pending.append(UInt8(ascii: "\n"))
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    guard mustSchedule else { return }
    queue.asyncAfter(deadline: .now() + .milliseconds(GatewayLimits.journalMilliseconds)) { self.flush() }
  }

  /// Counts a line that is not worth its room.
  func drop() { droppedTotal?.add() }

  /// The lines that hold one of these texts, oldest first, at most `limit` of the youngest.
  func lines(with texts: [String], limit: Int) async -> [[UInt8]] {
    await withCheckedContinuation { continuation in
      queue.async {
        self.flush()
        let found = [self.older, self.path].flatMap { DeliveryJournal.lines(in: $0, with: texts) }
        continuation.resume(returning: Array(found.suffix(limit)))
      }
    }
  }

  /// The same of all files in the folder: those of other instances, and of instances that were there before.
  func linesOfAll(with texts: [String], limit: Int) async -> [[UInt8]] {
    await withCheckedContinuation { continuation in
      queue.async {
        self.flush()
        let found = self.allPaths().flatMap { DeliveryJournal.lines(in: $0, with: texts) }
        // Each begins with its time, in as many digits.
        let sorted = found.sorted { $0.lexicographicallyPrecedes($1) }
        continuation.resume(returning: Array(sorted.suffix(limit)))
      }
    }
  }

  /// Of its own kind: what differs is the instance's slot.
  private func allPaths() -> [String] {
    guard let name = path.split(separator: "/").last, let slot = name.dropLast(".jsonl".count).lastIndex(of: ".") else {
      return [older, path]
    }
    let kind = name[...slot]
    let folder = String(path.dropLast(name.count))
    guard let entries = opendir(folder) else { return [older, path] }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard name.hasPrefix(kind), name.hasSuffix(".jsonl") || name.hasSuffix(".jsonl.1") else { continue }
      names.append(folder + name)
    }
    return names.sorted()
  }

  // MARK: - The file, on the queue

  private func flush() {
    let (bytes, dropped) = state.withLock { state in
      defer { state = State() }
      return (state.pending, state.dropped)
    }
    if dropped > 0 { droppedTotal?.add(dropped) }
    guard !bytes.isEmpty else { return }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { droppedTotal?.add(bytes.count { $0 == UInt8(ascii: "\n") }); return }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { droppedTotal?.add(rest.count { $0 == UInt8(ascii: "\n") }); return }
      rest = rest.dropFirst(count)
    }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_size >= segmentBytesMax { rename(path, older) }
  }

  private static func lines(in path: String, with texts: [String]) -> [[UInt8]] {
    guard let file = fopen(path, "re") else { return [] }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var found: [[UInt8]] = []
    while case let count = getline(&line, &capacity, file), count > 0, let line {
      guard texts.contains(where: { strstr(line, $0) != nil }) else { continue }
      let bytes = UnsafeRawBufferPointer(start: line, count: count)
      // A line that was cut off by the end of a disk or of a process is none.
      guard bytes.last == UInt8(ascii: "\n"),
        (try? JSONView(validating: UnsafeRawBufferPointer(rebasing: bytes.dropLast()))) != nil
      else { continue }
      found.append(Array(bytes.dropLast()))
    }
    return found
  }
}
