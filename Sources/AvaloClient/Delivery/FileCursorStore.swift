import AvaloCore
import NIOPosix
import Synchronization

/// Keeps positions in files of a folder, one for each user and device. One program at a time may use such a file: it is
/// held from its first use on, with one open descriptor, for as long as the store lives. Make one store, and give it to each
/// client of the program; a program that serves many users in turn makes a store for each, and lets go of it with its client.
public final class FileCursorStore: CursorStore {
  private let folder: String
  /// By path.
  private let files = Mutex<[String: HeldFile]>([:])

  private final class HeldFile: Sendable {
    private let file: DurableFile

    init(_ path: String) throws(ClientError) { file = try DurableFile(path: path) }

    func read() throws(ClientError) -> [UInt8] { try file.read() }
    func replace(_ bytes: [UInt8]) throws(ClientError) { try file.replace(with: bytes) }
  }

  /// - `folder`: one that exists.
  public init(folder: String) { self.folder = folder }

  /// Throws ``ClientError/storage(_:)``, also when another program uses the file.
  public func load(user: String, device: String?) async throws -> [String: Position] {
    let path = path(user, device)
    return try await perform { store in
      let bytes = try store.file(path).read()
      // What nobody of ours wrote counts as nothing: the server's cursor stands in.
      guard let text = try? JSONText(validating: bytes) else { return [:] }
      return text.read(FileCursorStore.positions)
    }
  }

  public func save(_ positions: [String: Position], user: String, device: String?) async throws {
    let path = path(user, device)
    let text = JSONText { json in
      json.object { json in
        for (topic, position) in positions.sorted(by: { $0.key < $1.key }) {
          json.key(topic)
          json.object {
            $0.member("epoch", position.epoch.description)
            $0.member("offset", position.offset)
          }
        }
      }
    }
    try await perform { store in try store.file(path).replace(text.bytes) }
  }

  /// On a thread that may block, and that holds nothing of the store when this returns: whoever lets go of it then has let go
  /// of its files.
  private func perform<Value: Sendable>(
    _ body: @escaping @Sendable (FileCursorStore) throws -> Value
  ) async throws -> Value {
    defer { withExtendedLifetime(self) {} }
    return try await NIOThreadPool.singleton.runIfActive { [unowned self] in try body(self) }
  }

  private static func positions(_ view: JSONView) -> [String: Position] {
    view.members.reduce(into: [:]) { found, member in
      guard let topic = member.key.string, let epoch = member.value["epoch"]?.string.flatMap(Epoch.init),
        let offset = member.value["offset"]?.integer.flatMap({ UInt64(exactly: $0) })
      else { return }
      found[topic] = Position(epoch: epoch, offset: offset)
    }
  }

  private func file(_ path: String) throws -> HeldFile {
    try files.withLock { files in
      if let file = files[path] { return file }
      let file = try HeldFile(path)
      files[path] = file
      return file
    }
  }

  private func path(_ user: String, _ device: String?) -> String {
    let names = [user, device].compactMap { $0.map(FileCursorStore.name) }
    return "\(folder)/positions-\(names.joined(separator: "-")).json"
  }

  /// An id may be anything; a file's name may not, is no longer than 255 bytes, and on some systems does not tell `A`
  /// from `a`.
  private static func name(_ id: String) -> String {
    func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    let name = id.utf8.map { byte -> String in
      let isPlain = (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "_" + hexadecimal(byte)
    }.joined()
    // Two underscores begin no other name.
    return name.utf8.count <= 100 ? name : "__" + SHA1.digest(id.utf8).map(hexadecimal).joined()
  }
}
