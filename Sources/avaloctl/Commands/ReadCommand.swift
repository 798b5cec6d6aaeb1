import ArgumentParser
import AvaloClient
import AvaloCore

struct ReadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "read", abstract: "Prints what the log holds of a topic, one event a line.",
    discussion: "Acknowledges nothing, and disturbs nobody who listens.")

  @Argument(help: "The topic, such as user:ann.") var topic: String
  @Option(help: "From this offset on (default: the first that is kept).") var from: UInt64?
  @Option(help: "The last so many instead.") var last: UInt64?
  @Option(help: "At most so many.") var limit = 1000
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    try Check.topic(topic)
    if from != nil, last != nil { throw ValidationError("--from and --last do not go together.") }
    guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
  }

  func run() async throws {
    try await reportingErrors {
      let log = TopicLog(topic, control.control)
      var after = from.map { $0 == 0 ? 0 : $0 - 1 } ?? 0
      if let last {
        let head = try await log.head()
        after = head > last ? head - last : 0
      }
      var left = limit
      while left > 0 {
        let page = try await log.page(after: after, limit: left)
        for event in page.events { TopicLog.show(event, json: output.json) }
        left -= page.events.count
        if page.through <= after || page.through >= page.head { break }
        after = page.through
      }
    }
  }
}

struct TailCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tail", abstract: "Prints a topic's last events, then each new one as it is kept.",
    discussion: "Ends with Ctrl-C. Acknowledges nothing, and disturbs nobody who listens.")

  @Argument(help: "The topic, such as user:ann.") var topic: String
  @Option(help: "Begin with the last so many.") var last: UInt64 = 10
  @Option(help: "End after so many.") var count: Int?
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    try Check.topic(topic)
    if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
  }

  func run() async throws {
    try await reportingErrors {
      let log = TopicLog(topic, control.control)
      let head = try await log.head()
      var after = head > last ? head - last : 0
      var left = count ?? .max
      var epoch: String?
      while left > 0 {
        let page = try await log.page(after: after, limit: 1000, waiting: true)
        if let epoch, epoch != page.epoch {
          Output.complaint("the topic begins anew (epoch \(page.epoch)): the log was restored or repaired")
          after = 0
        }
        epoch = page.epoch
        for event in page.events.prefix(left) { TopicLog.show(event, json: output.json) }
        left -= page.events.count
        after = max(after, page.through)
      }
    }
  }
}
