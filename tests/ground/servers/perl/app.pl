# Applications on Perl frameworks. Arguments: framework, port.
use strict;
use warnings;
use MIME::Base64 ();
use JSON::PP ();

sub line {
    my ($kind, $value) = @_;
    return '' if !defined $value || ref $value;
    utf8::encode($value) if utf8::is_utf8($value);
    return "$kind " . MIME::Base64::encode($value, '') . "\n";
}

sub shown {
    my ($kind, $node) = @_;
    return join '', map { shown($kind, $_) } values %$node if ref $node eq 'HASH';
    return join '', map { shown($kind, $_) } @$node if ref $node eq 'ARRAY';
    return line($kind, $node);
}

sub json { my ($body) = @_; return shown('JSON', eval { JSON::PP->new->utf8->allow_nonref->decode($body) }) }

my %frameworks = (
    plack => sub {
        my ($port) = @_;
        require Plack::Request;
        require HTTP::Server::PSGI;
        HTTP::Server::PSGI->new(host => '127.0.0.1', port => $port)->run(sub {
            my $r = Plack::Request->new(shift);
            my $out = line('path', $r->path_info);
            $out .= eval { shown('query', [$r->query_parameters->values]) } // '';
            $out .= eval { shown('field', [$r->body_parameters->values]) } // '';
            $out .= eval { shown('file name', [map { $_->filename } $r->uploads->values]) } // '';
            $out .= eval { shown('cookie', $r->cookies) } // '';
            return [200, ['Content-Type' => 'text/plain'], [$out . (eval { json($r->content) } // '')]];
        });
    },
    mojolicious => sub {
        my ($port) = @_;
        require Mojolicious::Lite;
        package Every;
        Mojolicious::Lite->import;
        app()->log->level('fatal');
        any('/*rest' => { rest => '' } => sub {
            my $c = shift;
            my $r = $c->req;
            my $out = main::line('path', $r->url->path->to_route) . main::shown('query', $r->query_params->to_hash) . main::shown('field', $r->body_params->to_hash);
            $out .= main::shown('file name', [map { $_->filename } @{$r->uploads}]) . main::shown('cookie', [map { $_->value } @{$r->cookies}]);
            $c->render(data => $out . main::shown('JSON', $r->json) . (eval { main::line('XML', $r->dom->all_text) } // ''), format => 'txt');
        });
        app()->start('daemon', '-m', 'production', '-l', "http://127.0.0.1:$port");
    },
    cgi => sub {
        my ($port) = @_;
        require HTTP::Server::PSGI;
        require CGI;
        HTTP::Server::PSGI->new(host => '127.0.0.1', port => $port)->run(sub {
            my $env = shift;
            # As a server starts a CGI program: the request in the environment and on standard input.
            local %ENV = (%ENV, map { $_ => $env->{$_} } grep { !/^psgi/ && defined $env->{$_} } keys %$env);
            my $out = '';
            my $file = "/tmp/cgi-body";
            open my $to, '>:raw', $file or die;
            while ($env->{'psgi.input'}->read(my $part, 65536)) { print {$to} $part }
            close $to;
            open local *STDIN, '<:raw', $file or die;
            eval {
                CGI::initialize_globals();
                my $q = CGI->new;
                for my $name (grep { !/^(POST|PUT)DATA$/ } $q->multi_param) {
                    for my $value ($q->multi_param($name)) { $out .= main::line(ref $value || defined $q->upload($name) ? 'file name' : 'field', "$value") }
                }
                $out .= main::line('cookie', $q->cookie($_)) for $q->cookie;
                $out .= main::json($q->param('POSTDATA') // $q->param('PUTDATA') // '');
            };
            return [200, ['Content-Type' => 'text/plain'], [$out]];
        });
    },
);
$frameworks{$ARGV[0]}->($ARGV[1]);
