import AvaloCore
import AvaloWire

/// `sendReadReceiptV1`: the caller has read a chat up to a message. One that is unknown, or was read before, moves nothing.
enum SendReadReceipt: Callable {
  static let name: StaticString = "sendReadReceiptV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    var chat: String?
    var message: String?
    var name = ""
    try request.object("chatId and messageId").forEachMember { (key, value) throws(CallError) in
      if key.matches("chatId") {
        chat = try CallValue.identifier(value, "chatId")
      } else if key.matches("messageId") {
        message = try CallValue.identifier(value, "messageId")
      } else if key.matches("requestId") {
        name = try CallValue.identifier(value, "requestId")
      } else {
        throw CallValue.unknown(key, among: "chatId, messageId, requestId")
      }
    }
    guard let chat else { throw CallError(.invalidArgument, "chatId is missing: in which chat is the message?") }
    guard let message else { throw CallError(.invalidArgument, "messageId is missing: up to which message?") }
    MarkChatAsRead.mark(
      MarkRead(
        user: identity.user, chat: chat, isParticipant: context.isIn(chat, identity), messageID: message, request: name),
      context, reply)
  }
}
