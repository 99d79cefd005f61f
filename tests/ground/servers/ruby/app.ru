# An application on Sinatra: answers each value that it reads, one a line, as the kind of the value and base64.
require 'sinatra/base'
require 'json'
require 'rexml/document'

class Every < Sinatra::Base
  set :environment, :production
  set :logging, false
  disable :protection
  disable :show_exceptions

  def shown(kind, node)
    case node
    when Hash then node[:tempfile] ? shown('file name', node[:filename].to_s) : node.values.map { |value| shown(kind, value) }.join
    when Array then node.map { |value| shown(kind, value) }.join
    when String then "#{kind} #{[node].pack('m0')}\n"
    else ''
    end
  end

  # What the block returns, or nothing if the framework refuses the request.
  def attempt
    yield
  rescue StandardError, SystemStackError
    ''
  end

  every = lambda do |*|
    content_type 'text/plain'
    body = request.body.read
    request.body.rewind
    out = shown('path', Rack::Utils.unescape_path(request.path_info)) + attempt { shown('query', request.GET) } + attempt { shown('field', request.POST) }
    out += attempt { shown('cookie', request.cookies) } + attempt { shown('JSON', JSON.parse(body)) }
    out + attempt do
      root = REXML::Document.new(body).root
      shown('XML', root.to_enum(:each_recursive).map { |node| [node.texts.map(&:value).join, *node.attributes.values.map(&:to_s)] } + [root.texts.map(&:value).join])
    end
  end
  %w[get post put].each { |method| send(method, '/*', &every) }
  # Parameters that the framework refuses never reach the route.
  error { [200, { 'Content-Type' => 'text/plain' }, ['']] }
end
run Every
