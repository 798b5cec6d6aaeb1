import AvaloCore
import AvaloStore

/// Events as JSON for people and their tools: everything that the log knows of them.
enum EventDocument {
  static func page(_ page: ReadPage, of topic: TopicReport) -> [UInt8] {
    var json = JSONWriter(capacity: 256 + page.rows.reduce(0) { $0 + $1.record.count + 256 })
    json.object {
      $0.member("topic", topic.name)
      $0.member("epoch", topic.epoch.description)
      $0.member("head", topic.head)
      $0.member("floor", page.floor)
      $0.member("through", page.through)
      $0.key("events")
      $0.array { json in
        for row in page.rows {
          row.record.withUnsafeBytes { bytes in
            // What does not parse was never accepted.
            guard let record = EventRecord(bytes) else { return }
            json.object { $0.event(record, offset: row.offset) }
          }
        }
      }
    }
    return json.take()
  }
}

extension JSONWriter {
  /// The members of an event. Times are ms since 1970, `acceptedAt` by the gateway's clock, `expiresAt` by the scheduler's.
  mutating func event(_ record: EventRecord, offset: UInt64) {
    member("offset", offset)
    member("eventId", utf8: record.eventID)
    member("type", record.type.wireName)
    member("priority", record.priority.wireName)
    if !record.sourceUserID.isEmpty { member("sourceUserId", utf8: record.sourceUserID) }
    if !record.chatID.isEmpty { member("chatId", utf8: record.chatID) }
    if !record.messageID.isEmpty { member("messageId", utf8: record.messageID) }
    member("timestamp", record.timestampMilliseconds)
    member("acceptedAt", record.acceptedMicroseconds / 1000)
    member("expiresAt", record.expiresMilliseconds)
    member("ttl", record.ttlSeconds)
    key("payload")
    raw(record.payload)
  }
}
