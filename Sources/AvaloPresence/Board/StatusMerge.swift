import AvaloCore

/// Makes one status of a user's devices: what the user last said, on whichever device that lives, wins; otherwise the best
/// of what the devices' being there says, online before away before offline. Pure; the order of adding does not matter.
struct StatusMerge {
  private var explicit: (order: UInt64, status: PresenceStatus, platform: Platform)?
  private var newest: (connected: Int64, platform: Platform)?
  private var implicit = PresenceStatus.offline

  /// A device that lives.
  mutating func add(_ row: ConnectionRow, isIdle: Bool) {
    if !isIdle { implicit = .online } else if implicit == .offline { implicit = .away }
    if let status = row.explicit { say(status, row.order, row.platform) }
    if row.platform != .unknown, newest.map({ row.connectedMilliseconds > $0.connected }) ?? true {
      newest = (row.connectedMilliseconds, row.platform)
    }
  }

  /// A status without a device.
  mutating func add(_ bare: BareStatus) { say(bare.status, bare.order, bare.platform) }

  private mutating func say(_ status: PresenceStatus, _ order: UInt64, _ platform: Platform) {
    if let explicit, explicit.order > order { return }
    explicit = (order, status, platform)
  }

  var status: PresenceStatus { explicit?.status ?? implicit }

  /// Of the device whose word it is, or the newest one; none for who is offline.
  var platform: Platform {
    guard status != .offline else { return .unknown }
    if let explicit, explicit.platform != .unknown { return explicit.platform }
    return newest?.platform ?? .unknown
  }
}
