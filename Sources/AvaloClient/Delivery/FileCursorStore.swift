import AvaloCore
import NIOPosix

/// Keeps positions in files of a folder, one for each user.
public struct FileCursorStore: CursorStore {
  private let folder: String

  /// - `folder`: one that exists.
  public init(folder: String) { self.folder = folder }

  public func load(user: String) async throws -> [String: Position] {
    let path = path(user)
    return try await NIOThreadPool.singleton.runIfActive {
      guard let bytes = try DurableFile.read(path) else { return [:] }
      // What nobody of ours wrote counts as nothing: the server's cursor stands in.
      guard let text = try? JSONText(validating: bytes) else { return [:] }
      return text.read(FileCursorStore.positions)
    }
  }

  public func save(_ positions: [String: Position], user: String) async throws {
    let path = path(user)
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
    try await NIOThreadPool.singleton.runIfActive { try DurableFile.replace(path, with: text.bytes) }
  }

  private static func positions(_ view: JSONView) -> [String: Position] {
    view.members.reduce(into: [:]) { found, member in
      guard let topic = member.key.string, let epoch = member.value["epoch"]?.string.flatMap(Epoch.init),
        let offset = member.value["offset"]?.integer.flatMap({ UInt64(exactly: $0) })
      else { return }
      found[topic] = Position(epoch: epoch, offset: offset)
    }
  }

  /// A user's id may be anything; a file's name may not.
  private func path(_ user: String) -> String {
    let name = user.utf8.map { byte -> String in
      let isPlain = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "_" + String(byte, radix: 16)
    }
    return "\(folder)/positions-\(name.joined()).json"
  }
}
