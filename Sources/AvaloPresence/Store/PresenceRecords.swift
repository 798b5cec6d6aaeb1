import AvaloCore
import GRDB

// How rows lie in the file. Text that no release of ours would have written is cut to what one would.
extension StoredConnection {
  static let columns =
    "incarnation, session, user, device, connection, platform, connected, seen, active, lingers, explicit, said, hidden"

  /// `nil` for what no release of ours has written.
  init?(_ row: Row) {
    self.init(
      key: SessionKey(
        incarnation: UInt64(bitPattern: row[0] as Int64), session: UInt64(bitPattern: row[1] as Int64)),
      user: row[2], device: row[3], connectionID: row[4], platform: Platform(column: row[5]),
      connectedMilliseconds: row[6], seenMilliseconds: row[7], activeMilliseconds: row[8], lingersMilliseconds: row[9],
      explicit: PresenceStatus(column: row[10]), order: UInt64(clamping: row[11] as Int64),
      isHidden: row[12] as Int64 == 1)
    guard [user, device, connectionID].allSatisfy({ Topic.isWellFormedID($0.utf8) }) else { return nil }
  }

  func write(_ db: Database) throws {
    try db.cachedStatement(
      sql: """
        INSERT INTO connections (\(StoredConnection.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (incarnation, session) DO UPDATE SET platform = excluded.platform, seen = excluded.seen,
          active = excluded.active, lingers = excluded.lingers, explicit = excluded.explicit, said = excluded.said
        """
    ).execute(arguments: [
      Int64(bitPattern: key.incarnation), Int64(bitPattern: key.session), user, device, connectionID,
      Int(platform.rawValue), connectedMilliseconds, seenMilliseconds, activeMilliseconds, lingersMilliseconds,
      explicit.map { Int($0.rawValue) }, Int64(clamping: order), isHidden ? 1 : 0,
    ])
  }
}

extension SessionKey {
  func remove(_ db: Database) throws {
    try db.cachedStatement(sql: "DELETE FROM connections WHERE incarnation = ? AND session = ?").execute(
      arguments: [Int64(bitPattern: incarnation), Int64(bitPattern: session)])
  }
}

extension StoredUser {
  static let columns = """
    id, seen, active, custom, activity, activity_visibility, place, latitude, longitude, location_visibility, chats,
    bare, bare_platform, bare_said, bare_until, bare_bound
    """

  init(_ row: Row) {
    self.init(id: row[0], seenMilliseconds: row[1], activeMilliseconds: row[2])
    details.customStatus = StoredUser.text(row[3], Limits.customStatusBytesMax)
    details.activity = StoredUser.text(row[4], Limits.activityBytesMax)
    details.activityVisibility = Visibility(column: row[5]) ?? .chatPartners
    details.location = StoredUser.location(row[6], row[7], row[8])
    details.locationVisibility = Visibility(column: row[9]) ?? .chatPartners
    details.chats =
      (row[10] as String?)?.split(separator: " ").prefix(Limits.presenceChatsMax).map(String.init)
      .filter { Topic.isWellFormedID($0.utf8) } ?? []
    guard let status = PresenceStatus(column: row[11]) else { return }
    details.bare = BareStatus(
      status: status, platform: Platform(column: row[12]), order: UInt64(clamping: row[13] as Int64? ?? 0), until: 0,
      isBound: row[15] as Int64? == 1)
    bareUntilMilliseconds = row[14] as Int64? ?? 0
  }

  func write(_ db: Database) throws {
    guard isWhole else {
      return try db.cachedStatement(
        sql: """
          INSERT INTO users (id, seen, active) VALUES (?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, active = max(active, excluded.active)
          """
      ).execute(arguments: [id, seenMilliseconds, activeMilliseconds])
    }
    guard !isNobody else {
      return try db.cachedStatement(sql: "DELETE FROM users WHERE id = ?").execute(arguments: [id])
    }
    let spot = details.location?.spot
    try db.cachedStatement(
      sql: """
        INSERT OR REPLACE INTO users (\(StoredUser.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    ).execute(arguments: [
      id, seenMilliseconds, activeMilliseconds, StoredUser.column(details.customStatus),
      StoredUser.column(details.activity), Int(details.activityVisibility.rawValue), details.location?.place,
      spot.map { Int($0.latitude) }, spot.map { Int($0.longitude) }, Int(details.locationVisibility.rawValue),
      StoredUser.column(details.chats.joined(separator: " ")), details.bare.map { Int($0.status.rawValue) },
      details.bare.map { Int($0.platform.rawValue) }, details.bare.map { Int64(clamping: $0.order) },
      bareUntilMilliseconds, details.bare.map { $0.isBound ? 1 : 0 },
    ])
  }

  private static func column(_ text: String) -> String? { text.isEmpty ? nil : text }

  private static func text(_ column: String?, _ max: Int) -> String {
    guard let column, column.utf8.count <= max else { return "" }
    return column
  }

  /// `place` is not NULL when there is a location.
  private static func location(_ place: String?, _ latitude: Int64?, _ longitude: Int64?) -> CoarseLocation? {
    guard let place, place.utf8.count <= Limits.placeBytesMax else { return nil }
    var location = CoarseLocation(place: place)
    if let latitude, let longitude {
      location.spot = CoarseLocation.Spot(
        latitudeTenths: Int16(clamping: latitude), longitudeTenths: Int16(clamping: longitude))
    }
    return location
  }
}

extension Platform {
  fileprivate init(column: Int64?) { self = column.flatMap { Platform(rawValue: UInt8(clamping: $0)) } ?? .unknown }
}

extension PresenceStatus {
  fileprivate init?(column: Int64?) {
    guard let status = column.flatMap({ PresenceStatus(rawValue: UInt8(clamping: $0)) }) else { return nil }
    self = status
  }
}

extension Visibility {
  fileprivate init?(column: Int64?) {
    guard let visibility = column.flatMap({ Visibility(rawValue: UInt8(clamping: $0)) }) else { return nil }
    self = visibility
  }
}
