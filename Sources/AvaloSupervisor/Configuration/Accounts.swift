import Glibc

/// A user to run as, looked up when the configuration was read.
public struct UserAccount: Equatable, Sendable {
  public var name: String
  public var user: UInt32
  public var group: UInt32
  public var groups: [UInt32]
}

extension UserAccount {
  /// Looks a name up in the system's user database.
  init?(named name: String) {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 << 10)
    guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
    var groups = [gid_t](repeating: 0, count: 1024)
    var count = Int32(groups.count)
    guard getgrouplist(name, entry.pw_gid, &groups, &count) >= 0 else { return nil }
    self.init(name: name, user: entry.pw_uid, group: entry.pw_gid, groups: Array(groups.prefix(Int(count))))
  }
}

/// A group of the machine's.
public struct GroupAccount: Equatable, Sendable {
  public var name: String
  public var group: UInt32
}

extension GroupAccount {
  /// Looks a name up in the system's group database.
  init?(named name: String) {
    guard let entry = getgrnam(name) else { return nil }
    self.init(name: name, group: entry.pointee.gr_gid)
  }
}
