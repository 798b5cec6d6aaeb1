import Glibc

/// The file in the state directory that holds the tickets' key: whichever gateway instance comes first makes it, all
/// read it, nobody else may.
enum TicketKey {
  static let fileName = "ticket.key"
  private static let bytes = 32

  /// Reads the key; makes it when there is none.
  static func load(
    directory: String, using random: inout some RandomNumberGenerator
  ) throws(KeyMaterial.Refusal) -> [UInt8] {
    let path = "\(directory)/\(fileName)"
    if access(path, F_OK) != 0 {
      let aside = "\(path).\(String(random.next(), radix: 36))"
      try make(path, aside, (0..<bytes).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure(path) }
    guard status.st_mode & 0o077 == 0 else {
      throw KeyMaterial.Refusal("\(path): others may read it; remove it, a new one is made")
    }
    let key = try KeyFile.read(path)
    guard key.count == bytes else {
      throw KeyMaterial.Refusal("\(path): has \(key.count) bytes, not \(bytes); remove it, a new one is made")
    }
    return key
  }

  /// Appears whole or not at all, and never over another's: written aside, then linked to its name.
  private static func make(_ path: String, _ aside: String, _ key: [UInt8]) throws(KeyMaterial.Refusal) {
    let descriptor = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(aside) }
    defer { unlink(aside) }
    let written = write(descriptor, key, key.count)
    let synced = fsync(descriptor)
    close(descriptor)
    guard written == key.count, synced == 0 else { throw failure(aside) }
    // Another instance was faster: its key counts.
    guard link(aside, path) == 0 || errno == EEXIST else { throw failure(path) }
  }

  private static func failure(_ path: String) -> KeyMaterial.Refusal {
    KeyMaterial.Refusal("\(path): \(String(cString: strerror(errno)))")
  }
}
