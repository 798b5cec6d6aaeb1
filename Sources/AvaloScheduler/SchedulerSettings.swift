import AvaloCore
import AvaloStore
import AvaloStoreSQLite
import AvaloSystem

/// The worker's settings, checked.
public struct SchedulerSettings: Sendable, Equatable {
  public var durability = Durability.os
  /// The log's file; ignored under `memory`.
  public var file = "events.sqlite"
  public var groupMax = SchedulerLimits.groupMax
  public var queueMax = SchedulerLimits.queueMax
  public var linkBacklogBytesMax = SchedulerLimits.linkBacklogBytesMax
  public var devicesPerUserMax = StoreLimits.devicesPerUserMax
  public var cursorsPerDeviceMax = StoreLimits.cursorsPerDeviceMax
  public var deviceUnseenMilliseconds = StoreLimits.deviceUnseenMilliseconds
  public var delayedMax = SchedulerLimits.delayedMax
  public var followedMax = SchedulerLimits.followedMax
  public var retention = RetentionRule.standard
  public var retentionByKind: [String: RetentionRule] = ["feed": .feed]

  public init() {}

  /// What was not noted as used for as long is noted again.
  var cursorUsedMilliseconds: Int64 {
    min(SchedulerLimits.cursorUsedMilliseconds, deviceUnseenMilliseconds / SchedulerLimits.cursorUsedShare)
  }

  /// The log's file, of a process whose state lies in `folder`.
  func logFile(in folder: String) -> LogFile {
    LogFile(path: file.hasPrefix("/") ? file : "\(folder)/\(file)", durability: durability)
  }

  /// Reads the settings; what is not said is as documented here. A relative `file` lies in the state folder.
  ///
  ///     durability: os            # memory, os or disk
  ///     file: events.sqlite
  ///     group_max: 1000           # requests that join one commit
  ///     queue_max: 32768          # requests that wait
  ///     link_backlog_max: 8MiB    # bytes on their way to one gateway
  ///     devices_per_user_max: 20
  ///     cursors_per_device_max: 500
  ///     device_unseen_max: 30d
  ///     delayed_max: 1000000
  ///     followed_max: 1000000     # events kept for plugins that follow the log
  ///     retention:
  ///       default: { events: 10000, bytes: 64MiB, age: 30d }
  ///       feed: { events: 100000, bytes: 256MiB, age: 7d }
  static func read(_ reader: inout SettingsReader) -> SchedulerSettings {
    var settings = SchedulerSettings()
    settings.durability = reader.choice(
      "durability", of: ["memory": .memory, "os": .os, "disk": .disk], default: settings.durability)
    settings.file = reader.stateFile("file", default: settings.file)
    settings.groupMax = reader.integer("group_max", in: 1...100_000, default: settings.groupMax)
    settings.queueMax = reader.integer("queue_max", in: 16...(1 << 20), default: settings.queueMax)
    settings.linkBacklogBytesMax = reader.bytes(
      "link_backlog_max", in: (6 << 20)...(32 << 20), default: settings.linkBacklogBytesMax)
    settings.devicesPerUserMax = reader.integer(
      "devices_per_user_max", in: 1...1000, default: settings.devicesPerUserMax)
    settings.cursorsPerDeviceMax = reader.integer(
      "cursors_per_device_max", in: 100...100_000, default: settings.cursorsPerDeviceMax)
    settings.deviceUnseenMilliseconds =
      reader.duration(
        "device_unseen_max", in: .seconds(3600)...(.seconds(3650 * 86_400)),
        default: .milliseconds(settings.deviceUnseenMilliseconds)
      ).milliseconds
    settings.delayedMax = reader.integer("delayed_max", in: 0...100_000_000, default: settings.delayedMax)
    settings.followedMax = reader.integer("followed_max", in: 1000...100_000_000, default: settings.followedMax)
    let rules = reader.table("retention") { kind, reader in
      read(&reader, otherwise: settings.retentionByKind[kind] ?? settings.retention)
    }
    for (kind, rule) in rules {
      if kind == "default" { settings.retention = rule } else { settings.retentionByKind[kind] = rule }
    }
    return settings
  }

  private static func read(_ reader: inout SettingsReader, otherwise rule: RetentionRule) -> RetentionRule {
    RetentionRule(
      eventsMax: UInt64(reader.integer("events", in: 1...100_000_000, default: Int(rule.eventsMax))),
      bytesMax: reader.bytes("bytes", in: (128 << 10)...(1 << 40), default: rule.bytesMax),
      ageSecondsMax: UInt32(
        reader.duration(
          "age", in: .seconds(1)...(.seconds(Int64(Limits.ttlSecondsMax))), default: .seconds(Int64(rule.ageSecondsMax))
        ).components.seconds))
  }
}
