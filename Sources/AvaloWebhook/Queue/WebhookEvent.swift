import AvaloCore

/// A followed event on its way to the endpoint.
struct WebhookEvent: Sendable, Equatable {
  /// The log's generation and its sequence in it: what the event is called by, whenever it is posted.
  var generation: UInt32
  var sequence: UInt64
  var topic: Topic
  var offset: UInt64
  var record: [UInt8]

  var id: String { "evt_\(generation)_\(sequence)" }

  /// Reads a part of the record, which was checked when it came.
  private func read<Value>(_ part: (EventRecord) -> Value) -> Value {
    record.withUnsafeBytes { bytes in
      guard let record = EventRecord(bytes) else { preconditionFailure("the record was checked on the link") }
      return part(record)
    }
  }

  var expiresMilliseconds: Int64 { read(\.expiresMilliseconds) }
  var acceptedMilliseconds: Int64 { read { $0.acceptedMicroseconds / 1000 } }

  /// As clients are sent it: `{"event":{…},"topic":"user:ann","offset":18}` (docs/protocol/client.md).
  func body() -> [UInt8] {
    read { record in
      var json = JSONWriter(capacity: self.record.count + 256)
      json.object {
        $0.key("event")
        $0.object {
          $0.member("eventId", utf8: record.eventID)
          $0.member("type", record.type.wireName)
          if topic.isInbox { $0.member("targetUserId", String(topic.id)) }
          if !record.sourceUserID.isEmpty { $0.member("sourceUserId", utf8: record.sourceUserID) }
          $0.key("payload")
          $0.raw(record.payload)
          $0.member("timestamp", record.timestampMilliseconds)
          if record.hasOwnTTL { $0.member("ttl", record.ttlSeconds) }
          $0.idsBeside(record, in: topic)
          if record.priority != .normal { $0.member("priority", record.priority.wireName) }
        }
        $0.member("topic", topic.name)
        $0.member("offset", offset)
      }
      return json.bytes
    }
  }

  /// Whether it was published by a webhook that gave an event up, this one or another: two whose backends fail would post
  /// each other's for ever.
  var isDeadLetter: Bool {
    read { record in
      guard record.type == .notification, record.sourceUserID.isEmpty else { return false }
      let parts = String(decoding: record.eventID, as: UTF8.self).split(
        separator: "_", omittingEmptySubsequences: false)
      return parts.count == 3 && parts[0] == "dead" && UInt32(parts[1]) != nil && UInt64(parts[2]) != nil
    }
  }

  /// What is published when it is given up: a notification that says where it lies and why, with the payload if it fits.
  /// - `now`: milliseconds since 1970.
  func deadLetter(attempts: Int, reason: String, at now: Int64) -> [UInt8] {
    let payload = read { record in
      var json = JSONWriter(capacity: record.payload.count + 512)
      json.object {
        $0.member("webhookId", id)
        $0.member("topic", topic.name)
        $0.member("offset", offset)
        $0.member("eventId", utf8: record.eventID)
        $0.member("type", record.type.wireName)
        $0.member("attempts", attempts)
        $0.member("reason", String(reason.prefix(200)))
        if record.payload.count <= WebhookLimits.deadPayloadBytesMax {
          $0.key("payload")
          $0.raw(record.payload)
        }
      }
      return json.bytes
    }
    return EventFields(
      type: .notification, ttlSeconds: WebhookLimits.deadLetterSeconds, timestampMilliseconds: now,
      acceptedMicroseconds: now * 1000, eventID: "dead_\(generation)_\(sequence)", payload: payload
    ).record()
  }
}
