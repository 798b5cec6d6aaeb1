import AvaloSystem

// What is said of sockets that listen: a worker's, and avalod's own.
extension SettingsReader {
  mutating func listenAddress(
    _ key: String, folder: String, default fallback: ListenAddress? = nil
  ) -> ListenAddress {
    let address = value(key, ListenAddress.expected, fallback, empty: .unix(path: "")) { node in
      guard case .string(let text) = node.value else { return nil }
      return ListenAddress(text, folder: folder)
    }
    if case .unix(let path) = address { requireFits(path, key) }
    return address
  }

  mutating func requireFits(_ path: String, _ key: String) {
    guard path.utf8.count > SupervisorLimits.socketPathBytesMax else { return }
    problem(
      key,
      "\(path) has \(path.utf8.count) bytes; a Unix socket's path may have \(SupervisorLimits.socketPathBytesMax)")
  }

  /// An address that others reach needs TLS, or the word of whoever knows what is in front of it.
  mutating func requirePlaintextAllowed(_ address: ListenAddress, encrypted: Bool) {
    let allowed = boolean("allow_plaintext", default: false)
    guard !address.isLocal, !encrypted, !allowed else { return }
    problem(
      "listen",
      "\(address) can be reached from other machines without encryption; set allow_plaintext: true if that is meant "
        + "(behind a proxy that ends TLS, on a private network)")
  }

  /// Octal digits, as chmod(1) takes them.
  mutating func mode(_ key: String, default fallback: UInt32) -> UInt32 {
    value(key, "permissions in octal, such as \"0660\"", fallback, empty: fallback) { node in
      guard case .string(let text) = node.value, text.hasPrefix("0"), let mode = UInt32(text, radix: 8), mode <= 0o777
      else { return nil }
      return mode
    }
  }

  mutating func group(_ key: String) -> GroupAccount? {
    guard let name = optionalString(key) else { return nil }
    guard let group = GroupAccount(named: name) else {
      problem(key, "there is no group \"\(name)\"")
      return nil
    }
    return group
  }
}
