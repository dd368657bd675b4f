# holdfast@.service is holdfast.service with these differences.  %i is the name as it stands behind the "@", so two
# instances never share a file or a directory; holdfast-NAME, not holdfast/NAME, lies outside holdfast.service's own.
/^# Change it by drop-ins: /c\
# Instances: holdfast@web reads /etc/holdfast/web.conf, its sockets are in /run/holdfast-web.\
# Give it an include_directory of its own ("web.d"; "" for none): services.d is holdfast.service's.\
# Change all by drop-ins: systemctl edit holdfast@.service; one by: systemctl edit holdfast@web.service
s!^Description=.*!& (%i)!
s!^ExecStart=.*!& -c /etc/holdfast/%i.conf!
s!^\(ExecReload=.*/holdfastctl\) !\1 -s /run/holdfast-%i/control.sock !
s!^RuntimeDirectory=.*!&-%i!
